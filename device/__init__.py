"""A headless camera and microphone publisher for LiveKit."""

__version__ = "0.1.0"
