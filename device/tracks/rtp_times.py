"""Which time a unit gets in the room. Pure; times in microseconds of CLOCK_MONOTONIC.

A unit has the time of its capture, which keeps picture and sound in step, with two exceptions:

- libwebrtc derives RTP times from whole milliseconds, so two units of the same one would reach a decoder as one
  picture. A slate and the camera that it replaces may come that close, in either order.
- A unit that comes much later after its capture than those before it, such as the last one before a camera's pause,
  would make every viewer delay all pictures for seconds (libwebrtc: JitterEstimator). It gets the time that it would
  have had with the usual delay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_TICK_US = 1_000
_ANOTHER_CLOCK_US = 1_000_000  # a larger step back is not two units that are close
_LATE_US = 250_000  # beyond the usual delay; jitter below it is the receivers' business
_USUAL_WEIGHT, _LATE_WEIGHT = 1 / 30, 1 / 300  # of the newest delay: a delay that lasts becomes the usual one


@dataclass(slots=True)
class RtpTimes:
    """The times of one track's units, in the order in which they are fed."""

    _usual_us: float | None = field(default=None, init=False)
    _last_us: int = field(default=0, init=False)

    def of(self, captured_at_us: int, now_us: int) -> int:
        """Return the time of a unit that is fed now."""
        delay_us = now_us - captured_at_us
        if self._usual_us is None:
            self._usual_us = delay_us
        late = delay_us > self._usual_us + _LATE_US
        at_us = now_us - round(self._usual_us) if late else captured_at_us
        self._usual_us += (delay_us - self._usual_us) * (_LATE_WEIGHT if late else _USUAL_WEIGHT)
        if -_ANOTHER_CLOCK_US < at_us - self._last_us < _TICK_US:
            at_us = self._last_us + _TICK_US
        self._last_us = at_us
        return at_us
