"""What a connection to the room depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.room.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from livekit import rtc

    from device.network.resolver import Resolver
    from device.network.route import Routes
    from device.room.audience import Watched
    from device.telemetry.attributes import Attributes
    from device.telemetry.room_state import PublishState
    from device.telemetry.transmission import SampleListener
    from device.tokens.join_token import JoinToken, TokenSource
    from device.tracks.track import Track


async def _nothing() -> None:
    """Take no opportunity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomDependencies:
    """What a connection depends on; `urls` are tried in this order, `listeners` get the samples of each session.

    `streams` are those that send to viewers only. `relay_only`: media passes a TURN server. `on_joined` get each Room
    after the join, to take calls of participants or to hear them. `between_sessions` is awaited before each probe: a
    moment in which this process may end unnoticed.
    """

    urls: tuple[str, ...]
    token_source: TokenSource
    resolver: Resolver
    routes: Routes
    relay_only: bool = False
    listeners: tuple[SampleListener, ...] = ()
    streams: tuple[Watched, ...] = ()
    on_joined: tuple[Callable[[rtc.Room], None], ...] = ()
    between_sessions: Callable[[], Awaitable[None]] = _nothing

    def session(
        self,
        join_token: JoinToken,
        *,
        tracks: Sequence[Track],
        attributes: Attributes,
        on_publication: Callable[[str, PublishState], None],
    ) -> Session:
        """Return a session of its own for each join."""
        return Session(
            join_token,
            tracks=tracks,
            attributes=attributes,
            relay_only=self.relay_only,
            listeners=self.listeners,
            streams=self.streams,
            on_joined=self.on_joined,
            on_publication=on_publication,
        )
