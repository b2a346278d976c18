"""URLs of network streams: which ones are allowed, and which part of them may be shown. No text contains a URL."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SCHEMES = (
    *("rtsp", "rtsps", "http", "https"),
    *("rtmp", "rtmps", "rtmpt", "rtmpts", "srt", "udp", "rtp", "tcp"),
)
"""What a stream may begin with; `device.sources.network_input` has the protocols of FFmpeg that each one needs."""
MAX_CHARACTERS = 4096
_START = re.compile(r"([a-z]+)://")
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")


def checked(url: str) -> str:
    """Return a URL without surrounding white space. Raises ValueError, whose text does not contain the URL."""
    if why := problem(url):
        raise ValueError(why)
    return url.strip()


def problem(url: str) -> str:
    """Return what is wrong with a URL, and what is allowed; empty if nothing is."""
    url = url.strip()
    if not url:
        return "is empty; it must be the URL of a stream, such as rtsp://HOST/PATH"
    if len(url) > MAX_CHARACTERS:
        return f"is too long; allowed: {MAX_CHARACTERS} characters or fewer"
    if _NOT_PRINTABLE.search(url):
        return "has white space or letters outside of ASCII; write them as %XX"
    start = _START.match(url)
    if start is None or start[1] not in SCHEMES:
        return f"must begin with one of {', '.join(f'{each}://' for each in SCHEMES)}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return _NO_HOST
    return "" if host and "," not in parts.scheme else _NO_HOST


_NO_HOST = "has no valid host; it must look like rtsp://HOST:PORT/PATH, with special letters of a password as %XX"


def origin(url: str) -> str:
    """Return scheme, host and port of a checked URL: all of it that may be shown."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def secrets_of(url: str) -> list[str]:
    """Return the parts of a URL that are not shown: the URL itself, user and password, path and query."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return [each for each in (url, parts.netloc.rpartition("@")[0], parts.password, path, parts.query) if each]
