"""Shared by tests and `make run`: a livekit-server, subscribers, and child processes that always end."""
