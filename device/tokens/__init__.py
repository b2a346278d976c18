"""Token sources, and the grants of join tokens."""
