"""`make bench`: this daemon beside other publishers, with the same pictures and sound in each row."""
