"""Runs programs that the configuration names."""
