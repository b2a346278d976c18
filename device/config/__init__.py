"""The configuration: tables and keys, finding, loading and checking it."""
