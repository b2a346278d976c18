"""What a connection to the room depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from device.network.resolver import Resolver
    from device.network.route import Routes
    from device.telemetry.transmission import SampleListener
    from device.tokens.join_token import TokenSource


async def _nothing() -> None:
    """Take no opportunity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomDependencies:
    """What a connection depends on; `urls` are tried in this order, `listeners` get the samples of each session.

    `relay_only`: media passes a TURN server. `between_sessions` is awaited before each probe: a moment in which this
    process may end unnoticed.
    """

    urls: tuple[str, ...]
    token_source: TokenSource
    resolver: Resolver
    routes: Routes
    relay_only: bool = False
    listeners: tuple[SampleListener, ...] = ()
    between_sessions: Callable[[], Awaitable[None]] = _nothing
