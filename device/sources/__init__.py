"""Sources of pictures and sound. Each yields frames or blocks with their capture time, and does not depend on rooms."""
