"""The room: how the device gets in, stays in, and leaves."""
