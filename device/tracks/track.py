"""What a session needs of a track."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from livekit import rtc

    from device.media.reception import Reception


class Track(Protocol):
    """One track of the device; it lives as long as the process, and is published again in every Room.

    `kind` is the source that a token has to allow, "camera" or "microphone".
    `fed` counts the units or blocks that the SDK was given. `muted` lasts as long as the process: what the room has
    muted stays muted in the next session. `wanted` is set as soon as there is something to publish, and stays set.
    """

    kind: str
    fed: int
    muted: bool
    wanted: asyncio.Event

    @property
    def track(self) -> rtc.LocalVideoTrack | rtc.LocalAudioTrack: ...

    def options(self) -> rtc.TrackPublishOptions: ...

    def start_publication(self) -> None:
        """Get ready for a new publication."""

    def forget(self) -> None:
        """Drop what still waits to be fed."""

    def unmuted(self) -> None:
        """Note that viewers receive this track again."""

    def viewer_joined(self) -> None:
        """Note that a viewer has joined who has not received anything yet."""

    def sampled(self, sent: int, *, fed: int, reception: Reception | None) -> None:
        """Note how many frames or packets the SDK has sent.

        `fed` is how many units or blocks it had been given by then, `reception` the newest report about the packets.
        """

    def forget_missing(self) -> None:
        """Count as missing only what is fed from now on: nobody watches, so the SDK sends nothing."""

    def taken(self, seconds: float, *, fed: int) -> None:
        """Note how many seconds of sound the SDK has taken, of the `fed` blocks that it had been given by then."""

    async def aclose(self) -> None: ...
