"""Signals, the service manager, and the deadlines of the daemon's parts."""
