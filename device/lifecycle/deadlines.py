"""Deadlines of the daemon's parts. Pure: the caller supplies the time, in seconds.

Each part extends its deadline at each step. A part that misses its deadline hangs; then the service manager's watchdog
or `enforcer` ends the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_MAX_S = 120.0


@dataclass(slots=True)
class Deadlines:
    """The deadline of each part, by name."""

    _due_at: dict[str, float] = field(default_factory=dict, init=False)

    def give(self, name: str, *, now: float, within_s: float) -> None:
        """Extend the deadline of a part; by 120 s at most."""
        self._due_at[name] = now + min(within_s, _MAX_S)

    def missed(self, now: float) -> list[str]:
        """Return the names of the parts that have missed their deadline."""
        # A copy, because the enforcer's thread calls this while the event loop adds parts.
        return [name for name, due_at in self._due_at.copy().items() if now > due_at]
