"""Detects a value that has not changed for too long, such as silence or a frozen picture. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class UnchangedDetector:
    """Reports once that a value has not changed for `limit_s`, and once that it changes again."""

    limit_s: float
    _since: float | None = field(default=None, init=False)
    _reported: bool = field(default=False, init=False)

    def update(self, now: float, *, same: bool) -> bool | None:
        """Take one comparison; return True when the limit is reached, False at the next change, else None."""
        if not same:
            self._since = None
            was_reported, self._reported = self._reported, False
            return False if was_reported else None
        self._since = now if self._since is None else self._since
        if self._reported or now - self._since < self.limit_s:
            return None
        self._reported = True
        return True
