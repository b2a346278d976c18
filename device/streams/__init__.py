"""Captures with a name: a worker, what keeps it running, and what consumes its pictures or sound."""
