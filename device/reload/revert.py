"""Decides whether a reload is reverted because the device is not live after it. Pure; times in seconds."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

# A wrong size or rate may deliver for a moment.
LIVE_FOR_S = 5.0
_PROBE_AGAIN_S = 5.0


class Action(enum.Enum):
    """What to do now."""

    WAIT = "wait"
    PROBE = "probe"  # the server of the configuration before; then probed()
    KEEP = "keep"
    REVERT = "revert"


@dataclass(slots=True, kw_only=True)
class RevertPolicy:
    """Judges one reload, from `began_at` on: it has `after_s` to make the device live.

    If the server of the configuration before does not answer either, the reload is not at fault: once the server
    answers, the device has the whole time again.
    """

    after_s: float
    began_at: float
    _due_at: float = field(init=False)
    _live_since: float | None = field(default=None, init=False)
    _server_away: bool = field(default=False, init=False)
    _at_fault: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._due_at = self.began_at + self.after_s

    def next(self, now: float, *, live: bool) -> Action:
        """Return what to do now. `live`: whether the device is in its room, with all that it publishes."""
        if live:
            self._live_since = now if self._live_since is None else self._live_since
            return Action.KEEP if now - self._live_since >= LIVE_FOR_S else Action.WAIT
        self._live_since = None
        if self._at_fault:
            return Action.REVERT
        return Action.PROBE if now >= self._due_at else Action.WAIT

    def probed(self, now: float, *, answered: bool) -> None:
        """Note whether the server of the configuration before answers."""
        if not answered:
            self._server_away, self._due_at = True, now + _PROBE_AGAIN_S
        elif self._server_away:
            self._server_away, self._due_at = False, now + self.after_s
        else:
            self._at_fault = True
