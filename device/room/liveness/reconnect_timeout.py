"""The SDK reconnects for too long, or in vain. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from device.room.reasons import SDK_RECONNECTING, SERVER_AWAY, SERVER_RETURNED, Reason

# While the SDK resumes a lost signalling connection, media continue; its attempts may be 7 s apart.
_RECONNECTING_S = 15.0


@dataclass(slots=True, kw_only=True)
class ReconnectTimeout:
    """Fires after 15 s, or as soon as a probe shows that the server at `url` was away."""

    url: str
    _since: float | None = field(default=None, init=False)
    _was_away: bool = field(default=False, init=False)
    _found: Reason | None = field(default=None, init=False)

    @property
    def reconnecting(self) -> bool:
        return self._since is not None

    def update(self, *, reconnecting: bool, now: float) -> bool:
        """Note whether the SDK reconnects; return whether it has just recovered its connection."""
        if reconnecting == self.reconnecting:
            return False
        self._since = now if reconnecting else None
        self._was_away = False
        return not reconnecting

    def probed(self, url: str | None) -> None:
        """Note which server answered a probe, if any."""
        if not self.reconnecting:
            return
        if url is None:
            self._was_away = True
        elif url != self.url:
            self._found = SERVER_AWAY
        elif self._was_away:
            self._found = SERVER_RETURNED

    def reason(self, now: float) -> Reason | None:
        """Return why the session has to end, if it has."""
        if self._found is None and self._since is not None and now - self._since > _RECONNECTING_S:
            return SDK_RECONNECTING
        return self._found
