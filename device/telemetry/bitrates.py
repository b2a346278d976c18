"""How many bits per second each stream sends, from the samples of the room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.telemetry.sampler import Sample

_LEAST_S = 0.9  # in less time there are too few packets to compute a rate


@dataclass(slots=True)
class Bitrates:
    """The newest rates, by the name of the stream. A new session counts from 0 again, so there it is 0 for a second."""

    _rates: dict[str, int] = field(default_factory=dict, init=False)
    _last: Sample | None = field(default=None, init=False)

    def of(self, name: str) -> int:
        """Return what a stream sends, in bit/s; 0 while there is no session."""
        return self._rates.get(name, 0)

    def sampled(self, sample: Sample) -> None:
        last = self._last
        if last is None or (passed_s := sample.at - last.at) >= _LEAST_S:
            self._last = sample
        if last is None or passed_s < _LEAST_S:
            return
        self._rates = {
            name: max(0, round(8 * (now - before) / passed_s))
            for name, now in sample.stats.sent_bytes.items()
            if (before := last.stats.sent_bytes.get(name)) is not None
        }

    def ended(self, _reason: str) -> None:
        """Forget the rates: the session has ended."""
        self._rates, self._last = {}, None
