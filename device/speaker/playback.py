"""What the speaker plays: the blocks of talkers and of sound files, one each 10 ms, to the worker.

Each block goes on as soon as it is there. Only if several sources play at a time, it waits for those of the others.
Pure, except for what it calls: the caller supplies times, in microseconds of the monotonic clock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from device.ipc.media_messages import PLAYED_BYTES, PLAYED_MS, PlaySound
from device.ipc.messages import SetPace
from device.speaker.mixing import mixed
from device.tracks.pace_control import PaceControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.media_messages import SpeakerReport

_SILENCE = bytes(PLAYED_BYTES)
_US_PER_BLOCK = PLAYED_MS * 1000
_LATE = 3  # blocks of one source that wait for another one
_MOST = 30  # blocks of one source: 300 ms
_LEAST_REPORTED = 25  # blocks, half of what is played between two reports: fewer say nothing about the clock
ECHO_TAIL_US: Final = 500_000
"""An echo canceller gets silence for so long after the last block."""
_BEHIND = 3  # blocks that may be late before it gets silence in their stead


class Reference(Protocol):
    """Gets what is played, as the reverse stream of an echo canceller."""

    def played(self, block: bytes, *, delay_ms: int) -> None:
        """Take 10 ms of mono sound at 48 kHz, which the speaker plays after this delay."""


class Playback:
    """The sources by name. `send` sends a block to the worker, `steer` a request. `reference` may be set later.

    `on_begin` is called when `fill` has to be called from then on.
    """

    def __init__(
        self,
        *,
        send: Callable[[PlaySound], object],
        steer: Callable[[SetPace], object],
        on_begin: Callable[[], object] = lambda: None,
    ) -> None:
        self.reference: Reference | None = None
        self.delay_ms = 0
        self._send, self._steer, self._on_begin, self._pace = send, steer, on_begin, PaceControl()
        self._sources: dict[str, deque[tuple[bytes, int]]] = {}
        self._rests: dict[str, bytearray] = {}
        self._played_at_us: int | None = None  # the last block
        self._began_at_us, self._count = 0, 0  # for the reference, since its stream began

    @property
    def active(self) -> bool:
        """Whether something is being played."""
        return bool(self._sources)

    def feed(self, source: str, samples: bytes, now_us: int) -> None:
        """Play sound of a source, which begins with it: mono, 48 kHz, 16 bits, of any length."""
        rest = self._rests.setdefault(source, bytearray())
        waiting = self._sources.setdefault(source, deque(maxlen=_MOST))
        rest += samples
        while len(rest) >= PLAYED_BYTES:
            waiting.append((bytes(rest[:PLAYED_BYTES]), now_us))
            del rest[:PLAYED_BYTES]
        self._advance(now_us)

    def end(self, source: str) -> None:
        """Play no more of a source, at once."""
        self._sources.pop(source, None)
        self._rests.pop(source, None)

    def reported(self, report: SpeakerReport, now_s: float) -> None:
        """Take the worker's report: steer its clock, and note the delay."""
        self.delay_ms = round((report.queue_ms or report.target_ms) + report.output_latency_ms)
        if report.blocks < _LEAST_REPORTED:
            self._pace.interrupted()
            return
        lead_s = (report.queue_ms - report.target_ms) / 1000
        if (ppm := self._pace.measured(lead_s, now_s)) is not None:
            self._steer(SetPace(ppm=ppm))

    def worker_started(self) -> None:
        """Send a new worker its pace."""
        if self._pace.ppm:
            self._steer(SetPace(ppm=self._pace.ppm))

    def fill(self, now_us: int) -> bool:
        """Give the echo canceller silence where a block is late, and after the last one; return whether it is due.

        Call it each 20 ms until it returns False.
        """
        if self.reference is None or self._played_at_us is None or now_us - self._played_at_us > ECHO_TAIL_US:
            self._played_at_us = None
            return False
        while self._count < (now_us - self._began_at_us) // _US_PER_BLOCK - _BEHIND:
            self._count += 1
            self.reference.played(_SILENCE, delay_ms=self.delay_ms)
        return True

    def _advance(self, now_us: int) -> None:
        while self._sources:
            ready = [each for each in self._sources.values() if each]
            complete = len(ready) == len(self._sources)
            if not ready or not (complete or max(map(len, ready)) >= _LATE):
                return
            blocks = [each.popleft() for each in ready]
            self._play(mixed([samples for samples, _ in blocks]), min(at_us for _, at_us in blocks), now_us)

    def _play(self, block: bytes, arrived_at_us: int, now_us: int) -> None:
        sent = self._send(PlaySound(samples=block, arrived_at_us=arrived_at_us))
        if sent is not False and self.reference is not None:  # what is not played has no echo
            if self._played_at_us is None:
                self._began_at_us, self._count = now_us, 0
                self._on_begin()
            self._count += 1
            self.reference.played(block, delay_ms=self.delay_ms)
            self._played_at_us = now_us
