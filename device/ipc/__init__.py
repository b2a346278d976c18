"""The daemon and its worker processes: the messages between them, the processes, and what keeps them running."""
