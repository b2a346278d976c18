"""The page that shows the room in a browser, and what serves it."""
