"""Counts pictures that are left out before they are encoded, by cause, and logs them at a bounded rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_INTERVAL_S, _MAX_INTERVAL_S = 10.0, 600.0


@dataclass(slots=True)
class DropLog:
    """Takes running totals by cause; `log` gets what was added since its last call, by cause.

    At most one line in 10 s. While pictures are left out all the time, each line is twice as long after the one before,
    up to 10 minutes: a thin link fills no journal.
    """

    log: Callable[[dict[str, int]], None]
    _logged: dict[str, int] = field(default_factory=dict, init=False)
    _interval_s: float = field(default=LOG_INTERVAL_S, init=False)
    _next_at: float = field(default=float("-inf"), init=False)

    def look(self, now: float, **totals: int) -> None:
        """Note the totals; log what is new, if the last line is long enough ago."""
        if now < self._next_at:
            return
        fresh = {cause: total - self._logged.get(cause, 0) for cause, total in totals.items()}
        fresh = {cause: count for cause, count in fresh.items() if count > 0}
        if fresh:
            quiet = now - self._next_at > LOG_INTERVAL_S
            self._interval_s = LOG_INTERVAL_S if quiet else min(2 * self._interval_s, _MAX_INTERVAL_S)
            self._next_at = now + self._interval_s
            self._logged = dict(totals)
            self.log(fresh)
