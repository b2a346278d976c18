"""Whether the SDK's native library still takes the sound that it is given: nobody waits for its answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

_STALLED_S = 6.0  # with samples once a second, and the end of the process, it is noticed within 10 s
_GIVEN = 250  # blocks meanwhile, 5 s of sound
_SAMPLES_APART_S = 3.0  # further apart, there was no session between


@dataclass(slots=True, kw_only=True)
class Intake:
    """Takes a sample of the SDK's statistics once a second, while the track is published."""

    _taken_s: float | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)
    _given: int = field(default=0, init=False)
    _sampled_at: float = field(default=float("-inf"), init=False)
    stalled: bool = field(default=False, init=False)

    def sampled(self, taken_s: float, *, given: int, now: float) -> None:
        """Note how many seconds of sound the SDK has taken, and how many blocks it had been given by then."""
        if taken_s != self._taken_s or now - self._sampled_at > _SAMPLES_APART_S:
            self._taken_s, self._since, self._given = taken_s, now, given
        self._sampled_at = now
        if now - self._since >= _STALLED_S and given - self._given >= _GIVEN:
            self.stalled = True
