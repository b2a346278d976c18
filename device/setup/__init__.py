"""First start: what writes the configuration and the credentials."""
