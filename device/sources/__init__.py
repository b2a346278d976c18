"""Where pictures and sound come from. Each yields frames or blocks with their capture time; none knows of rooms."""
