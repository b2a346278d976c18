"""The URL of a room's server."""

from __future__ import annotations

from urllib.parse import urlsplit

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


def websocket_url(value: str) -> str:
    """Return the URL as ws:// or wss://. Raises ValueError, whose text does not contain the value."""
    if not value:
        raise ValueError("is empty; it must be ws://HOST or wss://HOST, as the LiveKit server shows it")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:
        raise ValueError("is not a URL; it must look like wss://HOST or wss://HOST:PORT") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("must begin with ws:// or wss:// (http:// and https:// are accepted too)")
    if not host:
        raise ValueError("has no host; it must look like wss://HOST or wss://HOST:PORT")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must not hold a user, a password, a query or a fragment; credentials have their own table")
    # The SDK appends its own path, which begins with a slash.
    return parts._replace(scheme=_SCHEMES[parts.scheme], path=parts.path.rstrip("/")).geturl()
