"""Encoders: frames in, H.264 access units out."""
