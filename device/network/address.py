"""What a room's URL says about HTTP: where to connect, and what to ask. Pure."""

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
    """Return where a LiveKit server answers HTTP: the room's URL as http:// or https://, with a slash at its end."""
    parts = urlsplit(url)
    return f"{_HTTP[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}/"


def target_of(url: SplitResult) -> tuple[str, int]:
    """Return host and port of a URL, the host in ASCII. Raises UnicodeError."""
    host = url.hostname or ""
    return (host if ":" in host else host.encode("idna").decode()), url.port or PORTS[url.scheme]


def host_and_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_header(url: SplitResult) -> str:
    """Return the value of Host: the port only where it is not the scheme's own."""
    host, port = target_of(url)
    if port != PORTS[url.scheme]:
        return host_and_port(host, port)
    return f"[{host}]" if ":" in host else host


def request_path(url: SplitResult) -> str:
    """Return the path as a request holds it, percent-encoded where it has to be."""
    return quote(url.path or "/", safe="/%:@!$&'()*+,;=~-._")


def redirect_target(url: str, location: str | None, *, websocket: bool) -> str:
    """Return where a redirect leads: scheme, host and port alone, as ws:// or wss:// for a room; empty if it says none.

    The rest of it may hold what is not for a log.
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
