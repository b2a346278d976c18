"""One Room of a viewer, used once: it passes decoded media to the viewer until it is closed."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from livekit import rtc

from device.sources import strip
from device.sources.tone import BEEP_HZ, TONE_HZ
from tests.support.tokens import token

if TYPE_CHECKING:
    import numpy.typing as npt

    from tests.support.livekit_server import Server

_SMALLEST_LINES = 64  # smaller pictures are the SDK's, before the first real one
_QUEUED = 60  # by default the SDK drops a picture when two are there
_RATE = 48_000
_LOUD = 300  # of 32768; the tone peaks at 1638, and concealment fades away
_TONAL = 0.5
_LEAVE_S = 2.0
_DEVICE = "device"


class Receiver(Protocol):
    """The receiver of the decoded media."""

    def saw(self, captured_at_us: int, *, number: int | None, lines: int) -> None: ...
    def heard(self, *, noise: bool) -> None: ...
    def note(self, event: str) -> None: ...
    def attributes_changed(self, attributes: dict[str, str]) -> None: ...


class Observer:
    """Joins once. `connected` becomes False for good when the SDK reports any problem."""

    def __init__(self, audience: Receiver, server: Server, room: str, *, identity: str) -> None:
        self.connected = False
        self._closed = False
        self._receiver = audience
        self._url, self._token = server.url, token(server, room, identity=identity)
        self._room = rtc.Room()
        self._joining: asyncio.Task[None] | None = None
        self._streams: dict[str, asyncio.Task[None]] = {}  # by track SID
        self._room.on("track_subscribed", self._on_track)
        self._room.on("connection_state_changed", self._on_state)
        self._room.on("participant_connected", lambda who: self._note(f"came:{who.identity}"))
        self._room.on("participant_disconnected", lambda who: self._note(f"gone:{who.identity}"))
        self._room.on("participant_attributes_changed", self._on_attributes)
        self._room.on("track_unsubscribed", self._on_track_gone)

    def begin(self) -> None:
        """Start to join; a join can be abandoned but not cancelled."""
        self._joining = asyncio.create_task(self._connect())

    async def joined(self, *, within_s: float) -> bool | None:
        """Return whether the join succeeded; None while it is not known."""
        assert self._joining
        await asyncio.wait({self._joining}, timeout=within_s)
        return self.connected if self._joining.done() else None

    def attributes(self, identity: str) -> dict[str, str]:
        who = self._room.remote_participants.get(identity)
        return dict(who.attributes) if who else {}

    async def aclose(self) -> None:
        self._closed = True
        self.connected = False
        streams = tuple(self._streams.values())
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        if self._joining:
            await asyncio.wait({self._joining})  # limited by the SDK's retries, to a minute or two
            await asyncio.wait({asyncio.create_task(self._room.disconnect())}, timeout=_LEAVE_S)

    async def _connect(self) -> None:
        try:
            await self._room.connect(self._url, self._token)
        except rtc.ConnectError:
            return
        self.connected = not self._closed

    def _on_state(self, state: rtc.ConnectionState.ValueType) -> None:
        if state != rtc.ConnectionState.CONN_CONNECTED:
            self.connected = False

    def _note(self, event: str) -> None:
        if not self._closed:
            self._receiver.note(event)

    def _on_attributes(self, changed: dict[str, str], who: rtc.Participant) -> None:
        self._note(f"attributes:{who.identity}")
        if not self._closed and who.identity == _DEVICE:
            self._receiver.attributes_changed(changed)

    def _on_track(self, track: rtc.RemoteTrack, _: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if self._closed:
            return
        self._note(f"track:{who.identity}:{track.name}")
        collect = self._see(track) if isinstance(track, rtc.RemoteVideoTrack) else self._hear(track)
        self._stop(track)
        self._streams[track.sid] = task = asyncio.create_task(collect)
        task.add_done_callback(self._on_stream_end)

    def _on_track_gone(self, track: rtc.RemoteTrack, _: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        self._note(f"untrack:{who.identity}:{track.name}")
        self._stop(track)

    def _on_stream_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._note(f"viewer:failed:{error!r}")

    def _stop(self, track: rtc.RemoteTrack) -> None:
        """End a stream. An abandoned one would receive the next track, because the SDK reuses its receiver."""
        if stream := self._streams.pop(track.sid, None):
            stream.cancel()

    async def _see(self, track: rtc.RemoteVideoTrack) -> None:
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420, capacity=_QUEUED)
        try:
            async for event in stream:
                frame = event.frame
                if frame.height >= _SMALLEST_LINES:
                    luma = np.frombuffer(frame.data, np.uint8, frame.width * frame.height)
                    reading = strip.read(luma.reshape(frame.height, frame.width))  # a slate has no number
                    self._receiver.saw(
                        event.metadata.user_timestamp if event.metadata else 0,
                        number=reading.number if reading else None,
                        lines=frame.height,
                    )
        finally:
            await stream.aclose()

    async def _hear(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.AudioStream(track, sample_rate=_RATE, num_channels=1)
        try:
            async for event in stream:
                samples = np.frombuffer(event.frame.data, np.int16).astype(np.float64)
                if np.abs(samples).max() > _LOUD:
                    self._receiver.heard(noise=_tonal_share(samples) < _TONAL)
        finally:
            await stream.aclose()


def _tonal_share(samples: npt.NDArray[np.float64]) -> float:
    """Return the share of the tone's or the beep's power."""
    share = _tones(len(samples)).T @ samples
    return float(share @ share / (samples @ samples))


@cache
def _tones(length: int) -> npt.NDArray[np.float64]:
    """Return an orthonormal basis of both tones in any phase, shape (length, 4)."""
    time_s = np.arange(length) / _RATE
    waves = [wave(2 * np.pi * hz * time_s) for hz in (TONE_HZ, BEEP_HZ) for wave in (np.sin, np.cos)]
    return np.linalg.qr(np.stack(waves, axis=1))[0]
