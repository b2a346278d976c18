"""Counts pictures that are left out before they are encoded, by cause, and logs them at a bounded rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_INTERVAL_S = 10.0


@dataclass(slots=True)
class DropLog:
    """Takes running totals by cause; `log` gets what was added since its last call, by cause."""

    log: Callable[[dict[str, int]], None]
    _logged: dict[str, int] = field(default_factory=dict, init=False)
    _next_at: float = field(default=float("-inf"), init=False)

    def look(self, now: float, **totals: int) -> None:
        """Note the totals; log what is new, if the last line is long enough ago."""
        if now < self._next_at:
            return
        fresh = {cause: total - self._logged.get(cause, 0) for cause, total in totals.items()}
        fresh = {cause: count for cause, count in fresh.items() if count > 0}
        if fresh:
            self._next_at = now + LOG_INTERVAL_S
            self._logged = dict(totals)
            self.log(fresh)
