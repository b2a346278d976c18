"""A viewer that sees and hears everything: what a recovery causes in the room, and when."""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import pairwise

import numpy as np
from livekit import rtc

from tests.faults.figures import NEVER, longest_gap
from tests.lab.hearing import RATE
from tests.lab.meter import Meter, Shown
from tests.lab.service import IDENTITY
from tests.support.livekit_server import Server
from tests.support.watcher import Heard, joined

SLATE = (640, 360)  # for a camera with 16:9
GAP_S = 0.2
_LOUD = 1000  # of 32768; the lab's tones peak at 12000, and concealment fades away
_AWAY_S = 0.15  # a gap of this length in the sound counts as silence; a block has 20 ms
_ECHO_S = 0.3  # media that was on its way when the microphone was disconnected
_LOOK_S = 0.02
_FULL = 0.8


class Witness(Meter):
    """All times are times of decoding, on the wall clock, in seconds."""

    def __init__(self, room: rtc.Room) -> None:
        super().__init__(room)
        self.loud: list[float] = []  # of 10 ms each, without silence
        self.sound: deque[Heard] = deque(maxlen=100)
        self.attributes_seen: list[tuple[float, dict[str, str]]] = []  # each change of attributes
        room.on("participant_attributes_changed", self._on_attributes)

    async def until_true(self, holds: Callable[[], object], *, within_s: float) -> bool:
        """Wait for a condition; return whether it was met."""
        give_up_at = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def ready(self, *, fps: int, within_s: float = 30.0) -> None:
        """Wait until both media have arrived for a second. Raises AssertionError."""
        assert await self.until_true(lambda: self._steady(fps), within_s=within_s), f"not live: {self.attributes()}"

    def attributes(self) -> dict[str, str]:
        who = self.room.remote_participants.get(IDENTITY)
        return dict(who.attributes) if who else {}

    def live_s(self, at: float) -> float:
        """Return the seconds from a time to the first picture of a worker that was started after it."""
        begin = max(0, self._since(at) - 1)
        while begin and self.shown[begin].size == SLATE:
            begin -= 1
        before = None
        for each in (each for each in self.shown[begin:] if each.size != SLATE):
            if each.came_s > at and (before is None or each.number < before.number):
                return each.came_s - at
            before = each
        return NEVER

    def slate_s(self, at: float) -> float:
        return next((each.came_s - at for each in self.shown[self._since(at) :] if each.size == SLATE), NEVER)

    def sound_s(self, at: float) -> float:
        """Return the seconds from a time to the first sound after a gap."""
        begin = max(0, bisect_right(self.loud, at) - 1)
        return next((b - at for a, b in pairwise(self.loud[begin:]) if b - a > _AWAY_S and b > at), NEVER)

    def noises(self, at: float, until: float) -> int:
        """Count the blocks between the last sound before the gap and its return."""
        return bisect_left(self.loud, until) - bisect_right(self.loud, at + _ECHO_S)

    def sound_gap_s(self, at: float, until: float) -> float:
        return longest_gap(self.loud[max(0, bisect_right(self.loud, at) - 1) :], at, until)

    def picture_gap_s(self, at: float, until: float) -> float:
        return longest_gap([each.came_s for each in self.shown[max(0, self._since(at) - 1) :]], at, until)

    def story(self, name: str, at: float) -> list[str]:
        """Return the values of an attribute since a time, each value once."""
        texts = [seen[name] for when, seen in self.attributes_seen if when > at and name in seen]
        return list(dict.fromkeys(texts))

    def _since(self, at: float) -> int:
        return bisect_right(self.shown, at, key=_came_s)

    def _steady(self, fps: int) -> bool:
        now = time.time()
        seen = [each for each in self.shown[self._since(now - 1) :] if each.size != SLATE]
        return (
            len(seen) >= _FULL * fps
            and self.attributes().get("device.state") == "live"
            and self.sound_gap_s(now - 1, now) < GAP_S
        )

    def _on_attributes(self, changed: dict[str, str], who: rtc.Participant) -> None:
        if who.identity == IDENTITY:
            self.attributes_seen.append((time.time(), dict(changed)))

    def _on_track(self, track: rtc.Track, *more: object) -> None:
        super()._on_track(track, *more)
        if isinstance(track, rtc.RemoteAudioTrack):
            self._tasks.add(asyncio.create_task(self._hear(track)))

    async def _hear(self, track: rtc.RemoteAudioTrack) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        try:
            async for event in stream:
                samples = np.frombuffer(event.frame.data, np.int16).reshape(-1, 1).copy()
                now = time.time()
                self.sound.append(Heard(samples=samples, at=time.monotonic(), epoch_s=now))
                if np.abs(samples.astype(np.int32)).max() > _LOUD:
                    self.loud.append(now)
        finally:
            await stream.aclose()


def _came_s(each: Shown) -> float:
    return each.came_s


def witnessing(server: Server, room: str) -> AbstractAsyncContextManager[Witness]:
    """Join as a viewer."""
    return joined(Witness(rtc.Room()), server, room, identity="witness")
