"""`make bench`: compares this daemon with other publishers, with the same pictures and sound in each row."""
