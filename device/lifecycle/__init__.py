"""Signals, the service manager, and deadlines of the daemon's parts."""
