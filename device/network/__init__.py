"""Whether there is a way to the server, and whether the server is there."""
