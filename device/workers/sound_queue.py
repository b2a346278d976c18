"""The blocks of sound that wait for the speaker: few, so that they are heard soon, and enough, so that none is late.

Pure: the caller supplies times, in microseconds of the monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from device.ipc.media_messages import PLAYED_MS

MAX_AGE_MS: Final = 200
"""Sound that the daemon took longer ago is not played. It may have waited 100 ms in the SDK before: 300 in all."""
_LEAST_MS, _MOST_MS, _STEP_MS = 20, 80, 10
_EXCESS_MS = 30  # above the target, after this process was held up
_GAP_US = 200_000  # a block that is later than this begins another sound
_CALM_BLOCKS = 500  # played without a gap before the target is lowered: 5 s


@dataclass(slots=True, kw_only=True)
class SoundQueue:
    """Blocks of 10 ms. Each sound begins when the first block has waited for `target_ms`, which grows after gaps.

    underruns: gaps in the middle of a sound; dropped: blocks that were too old or too many
    """

    target_ms: int = field(default=_LEAST_MS, init=False)
    underruns: int = field(default=0, init=False)
    dropped: int = field(default=0, init=False)
    _waiting: deque[tuple[bytes, int]] = field(default_factory=deque, init=False)
    _playing: bool = field(default=False, init=False)
    _emptied_at_us: int | None = field(default=None, init=False)
    _calm: int = field(default=0, init=False)
    _waits_us: int = field(default=0, init=False)
    _played: int = field(default=0, init=False)

    @property
    def starved(self) -> bool:
        """Whether a sound is being played and its next block is not there."""
        return self._playing and not self._waiting

    def put(self, samples: bytes, arrived_at_us: int, *, now_us: int) -> None:
        """Take the next block, and when it arrived at this device."""
        if self._emptied_at_us is not None:
            if now_us - self._emptied_at_us < _GAP_US:
                self.underruns += 1
                self.target_ms, self._calm = min(self.target_ms + _STEP_MS, _MOST_MS), 0
            self._emptied_at_us = None
        self._waiting.append((samples, min(arrived_at_us, now_us)))
        if len(self._waiting) * PLAYED_MS > self.target_ms + _EXCESS_MS:
            while len(self._waiting) * PLAYED_MS > self.target_ms:
                self._drop()

    def take(self, *, now_us: int) -> bytes | None:
        """Return the next block to play now; None for silence."""
        while self._waiting and now_us - self._waiting[0][1] > MAX_AGE_MS * 1000:
            self._drop()
        if not self._waiting:
            if self._playing:
                self._playing, self._emptied_at_us = False, now_us
            return None
        if not self._playing:
            enough = len(self._waiting) * PLAYED_MS >= self.target_ms
            if not enough and now_us - self._waiting[0][1] < self.target_ms * 1000:
                return None
            while len(self._waiting) * PLAYED_MS > self.target_ms:  # after silence nothing is heard of a shorter wait
                self._drop()
            self._playing = True
        samples, arrived_at_us = self._waiting.popleft()
        self._waits_us += now_us - arrived_at_us
        self._played += 1
        self._calm += 1
        if self._calm >= _CALM_BLOCKS:
            self.target_ms, self._calm = max(self.target_ms - _STEP_MS, _LEAST_MS), 0
        return samples

    def played(self) -> tuple[int, float]:
        """Return how many blocks were played since the last call, and how long they had waited on average, in ms."""
        count, waits_us = self._played, self._waits_us
        self._played = self._waits_us = 0
        return count, waits_us / count / 1000 if count else 0.0

    def _drop(self) -> None:
        self._waiting.popleft()
        self.dropped += 1
