"""Talkback: whose voice from the room is played by this device's speaker, and its sounds. Off by default."""
