"""How the device is, and who is told."""
