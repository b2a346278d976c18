"""Texts of our own for the errors of a failed join, because the SDK's text may contain the whole token."""

from __future__ import annotations

import re

MEDIA_BLOCKED = "the server answers, but media does not get through: UDP, TCP or TURN has to be open"
# What str(ConnectError) contains (livekit 1.2.1), and our text. On a 401 it also contains the whole token.
_CONNECT_ERRORS = (
    (r"\b401\b", "the server refuses the token (HTTP 401): is it expired, or of another project's key?"),
    (r"\b403\b", "the server forbids this token to join (HTTP 403)"),
    (r"\b404\b", "the server has no such room, and does not create it (HTTP 404)"),
    (r"\b429\b|limit|capacity|max.?participants|full", "the room or the server is full"),
    (r"\b3\d\d\b", "the server redirects; set room.url to where it redirects to"),
    (r"\b5\d\d\b", "the server answers with an error (HTTP 5xx), as it also does for a full room (max_participants)"),
    (r"wait_pc_connection|publisher connection", MEDIA_BLOCKED),
    (r"timed? ?out|timeout", "the server does not answer in time"),
    (r"certificate|tls|ssl", "the TLS certificate of the server is not accepted"),
    (r"io error|connection|transport", "the connection to the server breaks off"),
    (r"access token|invalid characters", "the token is not a valid one"),
)


def connect_error_text(message: str) -> str:
    """Return our text for the SDK's message about a failed join."""
    for pattern, words in _CONNECT_ERRORS:
        if re.search(pattern, message, re.IGNORECASE):
            return words
    return "the SDK could not join"
