"""Text from elsewhere for a terminal, without what could move its cursor or change its colours."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text with a question mark in place of each control character."""
    return "".join(each if each.isprintable() else "?" for each in text)
