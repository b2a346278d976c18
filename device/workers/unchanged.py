"""Tells of what has been the same for too long: silence, a picture that stands still. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class UnchangedDetector:
    """Says once that something has stayed the same for `limit_s`, and once that it moves again."""

    limit_s: float
    _since: float | None = field(default=None, init=False)
    _told: bool = field(default=False, init=False)

    def saw(self, now: float, *, same: bool) -> bool | None:
        """Note one look; return True when the limit is reached, False when it is over, else None."""
        if not same:
            self._since = None
            over, self._told = self._told, False
            return False if over else None
        self._since = now if self._since is None else self._since
        if self._told or now - self._since < self.limit_s:
            return None
        self._told = True
        return True
