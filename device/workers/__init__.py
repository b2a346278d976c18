"""Child processes that capture and encode: what they run, what is said on the wire, and who looks after them."""
