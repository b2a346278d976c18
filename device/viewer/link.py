"""The page's link, and its QR code if the terminal can show it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from yarl import URL

from device.network.address import PORTS
from device.viewer import qr
from device.viewer.hosts import is_loopback

if TYPE_CHECKING:
    from typing import TextIO

COLUMNS: Final = 80
"""Of a serial line, which does not report its width."""

_WILDCARDS: Final = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}  # noqa: S104
_ELSEWHERE: Final = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation: the default route leads there. No packet is sent."""


def link(page_url: str, *, bound: str, room_url: str, secret: str) -> str:
    """Return the link that opens the page, on another machine if it is served to others.

    Browsers do not send what follows #, so the secret is in no request for the page, no log of a proxy, and no Referer.
    """
    url = URL(page_url)
    if family := _WILDCARDS.get(bound):
        url = url.with_host(_address_for_others(room_url, family) or socket.gethostname())
    return str(url.with_fragment(secret or None))


def code_lines(text: str, stream: TextIO) -> list[str]:
    """Return the lines of a QR code for this terminal, or one line that says why there is none."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"
    if not qr.encodable(stream.encoding or "ascii"):
        return ["(no QR code: the character set of this terminal has no block characters)"]
    try:
        columns = os.get_terminal_size(stream.fileno()).columns or COLUMNS
    except (OSError, ValueError):
        columns = COLUMNS
    width = len(qr.lines(text, colours=False)[0])
    if width > columns:
        return [f"(no QR code: it needs {width} columns, and this terminal has {columns})"]
    return qr.lines(text, colours=not plain and stream.isatty())


def own_address(server: str) -> str:
    """Return the address from which this machine connects to the server; empty if there is none. Sends no packet."""
    parts = urlsplit(server)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or PORTS[parts.scheme], type=socket.SOCK_DGRAM)
        family, kind, protocol, _, target = found[0]
        with socket.socket(family, kind, protocol) as probing:
            probing.connect(target)
            return str(probing.getsockname()[0])
    except (OSError, IndexError, UnicodeError):
        return ""


def _address_for_others(room_url: str, family: socket.AddressFamily) -> str:
    to_server = own_address(room_url)
    if to_server and not is_loopback(to_server) and (":" in to_server) == (family == socket.AF_INET6):
        return to_server
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probing:
            probing.connect((_ELSEWHERE[family], 9))
            return str(probing.getsockname()[0])
    except OSError:
        return ""
