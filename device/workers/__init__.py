"""The code of the child processes that capture and encode."""
