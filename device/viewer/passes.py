"""Mints a browser's tokens: one for each join, with the least rights, valid for some minutes by the server's clock."""

from __future__ import annotations

import asyncio
import datetime
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from device.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device.network.probe import ProbeResult

TTL = datetime.timedelta(minutes=5)
"""For one join at each of the room's URLs. The server renews the token of a connected viewer."""

_PROBE_S = 5.0  # however many pages ask, the servers are probed this often at most


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPass:
    """What a page needs for one join: a token, and the room's URLs in the order in which to try them."""

    token: str = field(repr=False)
    urls: tuple[str, ...]


class Prober(Protocol):
    """What finds a server that answers: `Probe`."""

    async def first(self, urls: Sequence[str]) -> ProbeResult: ...


@dataclass(slots=True, kw_only=True)
class Passes:
    """Mints tokens of one kind.

    `mint` makes a token by a server's time. The first URL is that of the first server that answers this device.
    """

    urls: tuple[str, ...]
    probe: Prober
    mint: Callable[[ProbeResult | None], str]
    _found: ProbeResult | None = None
    _probed_at_s: float = float("-inf")
    _probing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self) -> RoomPass:
        """Return a fresh token. Raises CredentialError."""
        async with self._probing:
            if time.monotonic() - self._probed_at_s > _PROBE_S:
                self._found = None
                with suppress(UnreachableError):
                    self._found = await self.probe.first(self.urls)
                self._probed_at_s = time.monotonic()
            found = self._found
        first = (found.url,) if found else ()
        return RoomPass(token=self.mint(found), urls=(*first, *(url for url in self.urls if url not in first)))
