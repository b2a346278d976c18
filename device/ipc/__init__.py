"""Worker processes: messages between them and the daemon, starting, supervising and ending them."""
