"""What the device reports of itself: statistics, attributes, status line, state file."""
