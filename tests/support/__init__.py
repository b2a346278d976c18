"""What tests and `make run` share: a real livekit-server, watchers, children that are ended for sure."""
