"""Where each block of sound belongs. RTP's time counts samples: it has to follow the time of capture. Pure.

Times are in microseconds on the monotonic clock, counts in samples per channel. How late a block arrives does not
matter; only a source that delivers nothing for `PAUSE_US` is filled with silence.
"""

from __future__ import annotations

from collections import deque
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from device.media.block import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

_US = 1_000_000
PAUSE_US = 80_000  # a block that is 60 ms late is no pause
# In a pause silence is given as smoothly and as early as sound: from late packets a receiver learns to wait longer.
STEP_US = 20_000
_BEHIND_US = 20_000
# Samples ahead of their capture time: a burst of old sound with new times, or a clock faster than can be steered.
_AHEAD_US, _AHEAD_SETTLING_US, _AHEAD_QUIET_US = 80_000, 40_000, 20_000
_QUIET_STEP_US = 10_000
# Samples behind their capture time: some are missing. One capture time alone may be late, so that many have to agree.
_MISSING_US, _MISSING_QUIET_US, _AGREEING = 100_000, 30_000, 10
# If the times of a source were this exact, a step in them is missing sound.
_EXACT_US, _EXACT_STEP_US = 2_000, 10_000
_MOST_SILENCE_US = 10 * _US
_MOST_DROPPED_US = 2 * _US


class Placement(NamedTuple):
    """What to do with a block: silence before it, and how much of its beginning to leave out, in samples."""

    silence: int
    skip: int


@dataclass(slots=True, kw_only=True)
class SoundTimeline:
    """Counts the samples that the SDK is given. It starts paused, with silence from `started_at_us` on."""

    started_at_us: InitVar[int]
    paused: bool = field(default=True, init=False)
    _origin_us: int = field(init=False)
    _count: int = field(default=0, init=False)
    _arrived_at_us: int = field(init=False)
    _leads_us: deque[int] = field(default_factory=lambda: deque(maxlen=_AGREEING), init=False)
    _settling: bool = field(default=False, init=False)
    _dropped_us: int = field(default=0, init=False)  # without a block between that was not

    def __post_init__(self, started_at_us: int) -> None:
        self._origin_us = self._arrived_at_us = started_at_us

    @property
    def end_us(self) -> int:
        """The capture time up to which the SDK was given sound or silence."""
        return self._origin_us + self._count * _US // SAMPLE_RATE

    def lead_us(self, captured_at_us: int) -> int:
        """Return how far the samples so far are ahead of the capture time of the next one."""
        return self.end_us - captured_at_us

    def next_look_us(self) -> int:
        """Return when `silence` should be asked again."""
        return max(self._arrived_at_us + PAUSE_US, self.end_us + _BEHIND_US + STEP_US)

    def silence(self, now_us: int) -> int:
        """Return how much silence is due because the source delivers nothing."""
        if now_us - self._arrived_at_us < PAUSE_US:
            return 0
        missing_us = now_us - _BEHIND_US - self.end_us
        if missing_us > _MOST_SILENCE_US:  # this process was suspended
            self._origin_us += missing_us - STEP_US
            missing_us = STEP_US
        self.paused = True
        return self._counted(max(0, missing_us) // _QUIET_STEP_US * _QUIET_STEP_US * SAMPLE_RATE // _US)

    def block(
        self, captured_at_us: int, count: int, *, now_us: int, settling: bool, is_quiet: Callable[[], bool]
    ) -> Placement:
        """Place a block of `count` samples. `settling`: its source has just started, perhaps with old sound.

        `is_quiet` returns whether cutting 10 ms of this block will not be heard.
        """
        self._arrived_at_us = now_us
        captured_at_us = min(captured_at_us, now_us)  # a worker's claim
        if self._settling and not settling and self._leads_us:
            self._origin_us -= max(self._leads_us)  # the times of a new source are reliable from now on
            self._leads_us.clear()
        self._settling = settling
        lead_us = self.lead_us(captured_at_us)
        if -lead_us > _MOST_SILENCE_US or self._dropped_us > _MOST_DROPPED_US:
            self._origin_us -= lead_us  # these times do not continue the earlier ones
            self.paused, lead_us = False, 0
            self._leads_us.clear()
        if self.paused:
            return self._first(lead_us, count)
        is_step = self._is_step(lead_us)
        self._leads_us.append(lead_us)
        if lead_us > (_AHEAD_SETTLING_US if settling else _AHEAD_US):
            return self._dropped(count)
        silence = skip = 0
        if lead_us > _AHEAD_QUIET_US and is_quiet():
            skip = min(count, _QUIET_STEP_US * SAMPLE_RATE // _US)
        elif missing_us := -lead_us if is_step else self._missing_us(is_quiet):
            silence = missing_us * SAMPLE_RATE // _US
            self._leads_us.clear()
        return self._accepted(silence, skip, count)

    def _first(self, lead_us: int, count: int) -> Placement:
        """Place a block after silence: what was captured at a time that is filled already is left out."""
        skip = min(count, max(0, lead_us) * SAMPLE_RATE // _US)
        if skip == count:
            return self._dropped(count)
        self.paused = False
        self._leads_us.clear()
        return self._accepted(max(0, -lead_us) * SAMPLE_RATE // _US, skip, count)

    def _is_step(self, lead_us: int) -> bool:
        """Return whether sound is missing immediately before this block."""
        if len(self._leads_us) < _AGREEING or max(self._leads_us) - min(self._leads_us) > _EXACT_US:
            return False
        return lead_us < min(0, min(self._leads_us) - _EXACT_STEP_US)

    def _missing_us(self, is_quiet: Callable[[], bool]) -> int:
        """Return for how long the source has certainly captured nothing of what it should have."""
        if len(self._leads_us) < _AGREEING:
            return 0
        missing_us = -max(self._leads_us)
        if missing_us > _MISSING_US or (missing_us > _MISSING_QUIET_US and is_quiet()):
            return missing_us
        return 0

    def _accepted(self, silence: int, skip: int, count: int) -> Placement:
        self._dropped_us = 0
        self._counted(silence + count - skip)
        return Placement(silence, skip)

    def _dropped(self, count: int) -> Placement:
        self._dropped_us += count * _US // SAMPLE_RATE
        return Placement(0, count)

    def _counted(self, count: int) -> int:
        self._count += count
        return count
