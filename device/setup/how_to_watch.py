"""The end of setup: the viewer's URL, and its QR code if the terminal can show it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from device.config.places import DEFAULT_PATH
from device.config.writing import CREDENTIALS
from device.errors import CredentialError
from device.network.address import PORTS
from device.setup import qr
from device.setup.viewer_url import viewer_url
from device.tokens.expiry import duration
from device.tokens.selection import ApiKey
from device.viewer.command import probed

if TYPE_CHECKING:
    from pathlib import Path

    from device.setup.draft import Loaded
    from device.setup.terminal import Terminal

_TTL = datetime.timedelta(hours=2)
_COLUMNS = 80  # of a serial line, which does not report its width


def show_viewer_url(terminal: Terminal, loaded: Loaded) -> str:
    """Print how to watch the room from another machine.

    Return the address on which `livekit-device viewer` must serve the page; empty if it is not needed.
    """
    server, source = loaded.config.room.url[0], loaded.token_source

    def mint(key: ApiKey) -> str:
        return key.viewer_token(ttl=_TTL, at=asyncio.run(probed(server)))

    try:
        found = viewer_url(
            server,
            room=loaded.config.room.name,
            mint=(lambda: mint(source)) if isinstance(source, ApiKey) else None,
            lifetime=duration(_TTL.total_seconds()),
            own_address=_own_address(server),
        )
    except CredentialError as error:
        terminal.say(f"No viewer's token can be made: {error}")
        return ""
    terminal.say()
    terminal.say("How to watch")
    for note in found.notes:
        terminal.say(note)
    if found.url:
        terminal.say()
        terminal.show(found.url)
        _show_code(terminal, found.url)
    return found.bind


def serve_page(folder: Path, bind: str) -> None:
    """Serve the page with `livekit-device viewer` until Ctrl-C, which the terminal sends to both processes."""
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(  # our own command  # noqa: S603
            [sys.executable, "-P", "-m", "device", "viewer", "--config", folder / DEFAULT_PATH.name, "--bind", bind],
            env=os.environ | {"CREDENTIALS_DIRECTORY": str(folder / CREDENTIALS)},
            check=False,
        )


def _show_code(terminal: Terminal, url: str) -> None:
    stream = terminal.stdout
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"
    if not qr.encodable(stream.encoding or "ascii"):
        terminal.say("(no QR code: the character set of this terminal has no block characters)")
        return
    code = qr.lines(url, colours=not plain and stream.isatty())
    try:
        columns = os.get_terminal_size(stream.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        columns = _COLUMNS
    width = len(qr.lines(url, colours=False)[0])
    if width > columns:
        terminal.say(f"(no QR code: it needs {width} columns, and this terminal has {columns})")
        return
    terminal.show("\n".join(code))


def _own_address(server: str) -> str:
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
