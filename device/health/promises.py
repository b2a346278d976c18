"""Whether this process still does what it is for. Pure: the caller brings the time, in seconds.

Each part says, at each step, by when it will be heard of again. A step that was begun and is neither finished nor
due is a part that hangs; the process is ended then, by the service manager's watchdog or by `enforcer`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_LONGEST_S = 120.0


@dataclass(slots=True)
class Promises:
    """By name of a part: when it has to be heard of again."""

    _due_at: dict[str, float] = field(default_factory=dict, init=False)

    def give(self, name: str, *, now: float, within_s: float) -> None:
        """Note that a part is alive now and will be heard of again; within 120 s at most, whatever it does."""
        self._due_at[name] = now + min(within_s, _LONGEST_S)

    def broken(self, now: float) -> list[str]:
        """Return the names of the parts that have kept silent for too long."""
        # A copy: the enforcer's thread asks while the event loop adds parts.
        return [name for name, due_at in self._due_at.copy().items() if now > due_at]
