"""The end of setup: the viewer's URL, and its QR code if the terminal can show it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from device.config.places import DEFAULT_PATH
from device.config.writing import CREDENTIALS
from device.errors import CredentialError
from device.setup.viewer_url import viewer_url
from device.tokens.expiry import duration
from device.tokens.selection import ApiKey
from device.viewer.command import probed
from device.viewer.link import code_lines, own_address

if TYPE_CHECKING:
    from pathlib import Path

    from device.setup.draft import Loaded
    from device.setup.terminal import Terminal

_TTL = datetime.timedelta(hours=2)


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
            own_address=own_address(server),
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
        terminal.show("\n".join(code_lines(found.url, terminal.stdout)))
    return found.bind


def serve_page(folder: Path, bind: str) -> None:
    """Serve the page with `livekit-device viewer` until Ctrl-C, which the terminal sends to both processes."""
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(  # our own command  # noqa: S603
            [sys.executable, "-P", "-m", "device", "viewer", "--config", folder / DEFAULT_PATH.name, "--bind", bind],
            env=os.environ | {"CREDENTIALS_DIRECTORY": str(folder / CREDENTIALS)},
            check=False,
        )
