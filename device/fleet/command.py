"""`livekit-device fleet`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import aiohttp  # before root's rights are dropped: an interpreter in root's home is out of reach then  # noqa: F401

from device.errors import CredentialError, ExitCode, UnreachableError
from device.fleet.listing import Listing, listed
from device.fleet.table import table
from device.network.probe import Probe
from device.network.resolver import Resolver
from device.redaction import redacted
from device.viewer.access import viewer_access

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_CLEAR = "\033[H\033[2J"
_WHY_KEY = "the list of devices needs api_key and api_secret of the server's project; there are none"


def run(config_path: Path | None, *, pattern: str, every_s: float | None, as_json: bool) -> int:
    """Print the devices once, or again every so many seconds until Ctrl-C.

    Return 0 if all of them are live, 1 if not, if there are none, or if some could not be listed. Raises ConfigError.
    """
    config, api_key = viewer_access(config_path, why_key=_WHY_KEY)
    urls = config.room.url

    async def look() -> Listing:
        resolver = Resolver()
        return await listed(urls, api_key, pattern, probe=Probe(resolver), resolver=resolver)

    if every_s is None:
        listing = asyncio.run(look())
        _show(listing, pattern, as_json=as_json, watching=False)
        return ExitCode.OK if listing.live else ExitCode.FAILED
    return asyncio.run(_watch(look, pattern, every_s, as_json=as_json))


async def _watch(look: Callable[[], Awaitable[Listing]], pattern: str, every_s: float, *, as_json: bool) -> int:
    """Never return; a server that is away for a while is reported, and asked again."""
    while True:
        try:
            _show(await look(), pattern, as_json=as_json, watching=True)
        except (UnreachableError, CredentialError) as error:
            _complain(str(error))
        await asyncio.sleep(every_s)


def _show(listing: Listing, pattern: str, *, as_json: bool, watching: bool) -> None:
    terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if as_json:
        text = json.dumps(asdict(listing), indent=None if watching else 2)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        text = table(listing.devices, width=width, colours=terminal and not os.environ.get("NO_COLOR"))
        text = text if listing.devices else _none(listing, pattern)
        text = f"{_CLEAR}{text}" if watching and terminal else text
    sys.stdout.write(f"{_encodable(text)}\n")
    sys.stdout.flush()
    for each in () if as_json else listing.problems:
        _complain(each)


def _none(listing: Listing, pattern: str) -> str:
    if not listing.rooms:
        return f"the server has no room that matches {pattern!r}; a room exists only while a participant is in it"
    return f"no device in {listing.rooms} room{'s' if listing.rooms > 1 else ''}"


def _encodable(text: str) -> str:
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def _complain(text: str) -> None:
    sys.stderr.write(f"{redacted(text)}\n")
