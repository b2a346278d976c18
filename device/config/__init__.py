"""The configuration: its tables and keys, loading and checking it."""
