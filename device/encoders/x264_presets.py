"""The presets of x264 that are offered, and which of them the processor has time for. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# Time for one picture, relative to the first one. Measured on a film of 1280x720 (docs/performance.md). The next slower
# preset takes nearly twice the time of the last one, and SSIM grows by less than 0.001.
PRESETS: Final = {"ultrafast": 1.0, "superfast": 1.7, "veryfast": 2.9}
FASTEST: Final = "ultrafast"
AUTO: Final = "auto"

# Encoding may take this part of the time between two pictures, and not longer, because it adds to the latency.
_MOST_OF_PERIOD, _MOST_S = 0.3, 0.015
_LATE = 2.0  # a picture that takes longer than this times the most is late
_LATE_PICTURES, _FORGIVEN = 3.0, 1 / 30  # so many late ones; each picture in time cancels a part of one
# The encoder wants a processor, and does not get one for this part of the time that it runs: others need it as well.
_SOME_WAIT, _MUCH_WAIT = 0.25, 0.75
_WINDOW_S = 10.0
_SETTLING_S = 1.0  # the first pictures of a new encoder
_PAUSE_S, _MAX_PAUSE_S = 60.0, 3600.0
_STABLE_S = 600.0  # the time after which a preset was not too slow, but the processor got other work


@dataclass(slots=True)
class PresetPolicy:
    """Chooses a slower preset after 10 s with enough spare time, and a faster one as soon as pictures are late.

    After that it waits before it tries a slower one again: a minute, and each time twice as long, up to an hour.
    """

    preset: str = field(default=FASTEST, init=False)
    _changed_at_s: float = field(default=float("-inf"), init=False)
    _next_try_at_s: float = field(default=0.0, init=False)
    _pause_s: float = field(default=_PAUSE_S, init=False)
    _late: float = field(default=0.0, init=False)
    _missed: int = field(default=0, init=False)
    _window_began_s: float | None = field(default=None, init=False)
    _pictures: int = field(default=0, init=False)
    _took_s: float = field(default=0.0, init=False)
    _ran_s: float = field(default=0.0, init=False)

    def update(self, now_s: float, *, took_s: float, ran_s: float, period_s: float, missed: int) -> str:
        """Take one encoded picture; return the preset for the next one.

        took_s, ran_s: how long encoding it took, and how much of that on a processor
        missed: how many pictures the source has lost so far, because nobody took them in time
        """
        new_missed, self._missed = missed - self._missed, missed
        if now_s < self._changed_at_s + _SETTLING_S:
            return self.preset
        most_s = min(_MOST_OF_PERIOD * period_s, _MOST_S)
        self._late = max(0.0, self._late - _FORGIVEN)
        self._late += took_s > _LATE * most_s or new_missed > 0
        if self._late >= _LATE_PICTURES:
            self._step(now_s, -1)
            return self.preset
        if self._window_began_s is None:
            self._window_began_s = now_s
        self._pictures += 1
        self._took_s += took_s
        self._ran_s += ran_s
        if now_s - self._window_began_s >= _WINDOW_S:
            self._judge_window(now_s, most_s)
        return self.preset

    def _judge_window(self, now_s: float, most_s: float) -> None:
        mean_s, wait = self._ran_s / self._pictures, self._took_s / max(self._ran_s, 1e-9) - 1
        slower = self._at(+1)
        expected_s = mean_s * PRESETS[slower] / PRESETS[self.preset]
        if wait > _MUCH_WAIT or mean_s > most_s:
            self._step(now_s, -1)
        elif wait < _SOME_WAIT and expected_s < most_s and not self._late and now_s >= self._next_try_at_s:
            self._step(now_s, +1)
        else:
            self._begin_window()

    def _step(self, now_s: float, by: int) -> None:
        self._begin_window()
        if (preset := self._at(by)) == self.preset:
            return
        if by < 0:
            stable = now_s - self._changed_at_s > _STABLE_S
            self._pause_s = _PAUSE_S if stable else min(2 * self._pause_s, _MAX_PAUSE_S)
            self._next_try_at_s = now_s + self._pause_s
        self.preset, self._changed_at_s = preset, now_s

    def _begin_window(self) -> None:
        self._late, self._pictures, self._took_s, self._ran_s = 0.0, 0, 0.0, 0.0
        self._window_began_s = None

    def _at(self, by: int) -> str:
        """Return the preset that is this many steps slower, or the last one."""
        names = [*PRESETS]
        return names[min(max(names.index(self.preset) + by, 0), len(names) - 1)]
