"""What can be asked of a running device: one registry of operations, and the interfaces to them."""
