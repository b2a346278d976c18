"""Logs and reports pictures that are dropped before they are encoded, by cause, at a bounded rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_INTERVAL_S, _MAX_INTERVAL_S = 10.0, 600.0
REPORT_INTERVAL_S = 2.0


@dataclass(slots=True)
class DropLog:
    """Takes running totals by cause, and calls `log` with the difference since its last call, by cause.

    `report` gets the totals at most every 2 s, if they have changed.
    It logs at most one line in 10 s. While pictures are dropped all the time, the interval doubles with each line, up
    to 10 minutes, so that a slow link does not fill the journal.
    """

    log: Callable[[dict[str, int]], None]
    report: Callable[[dict[str, int]], None] = lambda _totals: None
    _logged: dict[str, int] = field(default_factory=dict, init=False)
    _interval_s: float = field(default=LOG_INTERVAL_S, init=False)
    _next_at: float = field(default=float("-inf"), init=False)
    _reported: dict[str, int] = field(default_factory=dict, init=False)
    _report_at: float = field(default=float("-inf"), init=False)

    def update(self, now: float, **totals: int) -> None:
        """Log new drops if the interval since the last line has passed, and report them likewise."""
        if now >= self._report_at and totals != self._reported:
            if any(totals.values()):
                self.report(totals)
            self._reported, self._report_at = totals, now + REPORT_INTERVAL_S
        if now < self._next_at or totals == self._logged:
            return
        added = {cause: total - self._logged.get(cause, 0) for cause, total in totals.items()}
        added = {cause: count for cause, count in added.items() if count > 0}
        self._logged = totals
        if added:
            quiet = now - self._next_at > LOG_INTERVAL_S
            self._interval_s = LOG_INTERVAL_S if quiet else min(2 * self._interval_s, _MAX_INTERVAL_S)
            self._next_at = now + self._interval_s
            self.log(added)
