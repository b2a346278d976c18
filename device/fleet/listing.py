"""Asks the server for its rooms and for the devices in them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from device.errors import CredentialError
from device.fleet.found import MAX_DEVICES, FoundDevice, devices_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.network.probe import Probe
    from device.network.resolver import Resolver
    from device.tokens.minting import ApiKey

MAX_ROOMS = 100
_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The devices of all rooms that match, sorted; `problems` has what is missing, and why."""

    rooms: int
    devices: tuple[FoundDevice, ...]
    problems: tuple[str, ...]

    @property
    def live(self) -> bool:
        """Whether there are devices, all of them are live, and nothing is missing."""
        return bool(self.devices) and not self.problems and all(each.live for each in self.devices)


async def listed(urls: Sequence[str], api_key: ApiKey, pattern: str, *, probe: Probe, resolver: Resolver) -> Listing:
    """List the devices in the rooms whose names match a pattern of the shell.

    Raises UnreachableError if the server does not answer, and CredentialError if it refuses the list of rooms.
    """
    at = await probe.first(urls)
    names = sorted(name for name in await api_key.rooms(at, resolver) if fnmatchcase(name, pattern))
    problems, slots = [], asyncio.Semaphore(_AT_ONCE)
    if len(names) > MAX_ROOMS:
        problems.append(f"{len(names)} rooms match; the first {MAX_ROOMS} are shown: use a narrower --room")
    now_s = api_key.server_time_s(at)

    async def devices_in(room: str) -> list[FoundDevice]:
        async with slots:
            try:
                participants = await api_key.participants(at, resolver, room)
            except CredentialError as error:
                problems.append(f"room {text_of(room)}: {error}")
                return []
        found = list(devices_of(room, participants, now_s=now_s))
        if len(found) > MAX_DEVICES:
            problems.append(f"room {text_of(room)}: {len(found)} devices; the first {MAX_DEVICES} are shown")
        return found[:MAX_DEVICES]

    found = await asyncio.gather(*map(devices_in, names[:MAX_ROOMS]))
    devices = sorted((each for inner in found for each in inner), key=lambda each: (each.room, each.identity))
    return Listing(rooms=len(names), devices=tuple(devices), problems=tuple(problems))
