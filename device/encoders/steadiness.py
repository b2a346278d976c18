"""When a unit is to be sent, so that it does not show how long its picture took to encode. Pure; microseconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

# A receiver takes delay that grows with a frame's size for a slow link, and holds back every frame for as long as the
# largest may need (libwebrtc: JitterEstimator). Large frames are those that take long to encode.
_LOOKED_AT = 60
_OF_THEM = 0.9
_LONGEST_US = 12_000


@dataclass(slots=True)
class Steadiness:
    """Lets units leave as late after their capture as nine in ten of the latest ones would by themselves."""

    _took_us: deque[int] = field(default_factory=lambda: deque(maxlen=_LOOKED_AT), init=False)

    def due_at_us(self, captured_at_us: int, now_us: int) -> int:
        """Return when a unit that is ready now is to be sent; never much later than that."""
        self._took_us.append(now_us - captured_at_us)
        usual_us = sorted(self._took_us)[int(len(self._took_us) * _OF_THEM)]
        return min(captured_at_us + usual_us, now_us + _LONGEST_US)
