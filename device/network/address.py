"""Derives HTTP URLs, hosts and paths from a room's URL. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

PORTS = {"wss": 443, "https": 443, "ws": 80, "http": 80}
_HTTP = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
_WEBSOCKET = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HOST = re.compile(r"[\w.:-]{1,253}")


def base_of(url: str) -> str:
    """Return the base URL of a LiveKit server's HTTP API: the room's URL as http:// or https://, ending in a slash."""
    parts = urlsplit(url)
    return f"{_HTTP[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}/"


def target_of(url: SplitResult) -> tuple[str, int]:
    """Return host and port of a URL, the host in ASCII. Raises UnicodeError."""
    host = url.hostname or ""
    return (host if ":" in host else host.encode("idna").decode()), url.port or PORTS[url.scheme]


def host_and_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_header(url: SplitResult) -> str:
    """Return the value of the Host header; it has a port only if that is not the scheme's default."""
    host, port = target_of(url)
    if port != PORTS[url.scheme]:
        return host_and_port(host, port)
    return f"[{host}]" if ":" in host else host


def request_path(url: SplitResult) -> str:
    """Return the path for the request line, percent-encoded."""
    return quote(url.path or "/", safe="/%:@!$&'()*+,;=~-._")


def redirect_target(url: str, location: str | None, *, websocket: bool) -> str:
    """Return the scheme, host and port of a redirect's target, as ws:// or wss:// for a room; empty if it has none.

    The rest of the target is left out, because it may contain secrets.
    """
    try:
        target = urlsplit(urljoin(url, location or ""))
        host, _ = target_of(target)
        scheme = _WEBSOCKET[target.scheme] if websocket else _HTTP[target.scheme]
    except (ValueError, KeyError):
        return ""
    if not location or not _HOST.fullmatch(host):
        return ""
    return f"{scheme}://{host_header(target)}"
