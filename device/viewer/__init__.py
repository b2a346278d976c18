"""The viewer page, which shows the room in a browser, and its server."""
