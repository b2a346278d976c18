"""The SDK reconnects for too long, or in vain. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from device.room.reasons import SDK_RECONNECTING, SERVER_AWAY, SERVER_RETURNED, Reason

# While the SDK resumes a lost signalling connection, media continue; its attempts may be 7 s apart.
_RECONNECTING_S = 15.0
# The SDK may be about to restart its connection, which takes 0.1 s nearby; if it does that already, it may take longer.
# To leave a Room meanwhile ends the process by a panic now and then (livekit 1.2.1, docs/upstream.md).
SETTLES_S, _RESTARTS_S = 0.3, 3.0


@dataclass(slots=True, kw_only=True)
class ReconnectTimeout:
    """Fires after 15 s, or if a probe shows that the server at `url` was away and the SDK does not use its return."""

    url: str
    _since: float | None = field(default=None, init=False)
    _was_away: bool = field(default=False, init=False)
    _returned_at: float | None = field(default=None, init=False)
    _restarting: bool = field(default=False, init=False)
    _found: Reason | None = field(default=None, init=False)

    @property
    def reconnecting(self) -> bool:
        return self._since is not None

    @property
    def settling(self) -> bool:
        """Whether the server has just returned, so that the SDK's connection may return at any moment."""
        return self._returned_at is not None

    def update(self, *, reconnecting: bool, now: float, restarting: bool = False) -> bool:
        """Note whether the SDK reconnects; return whether it has just recovered its connection.

        `restarting`: it builds a new connection at this moment.
        """
        self._restarting = restarting
        if reconnecting == self.reconnecting:
            return False
        self._since = now if reconnecting else None
        self._was_away, self._returned_at = False, None
        return not reconnecting

    def probed(self, url: str | None, now: float) -> None:
        """Note which server answered a probe, if any."""
        if not self.reconnecting:
            return
        if url is None:
            self._was_away, self._returned_at = True, None
        elif url != self.url:
            self._found = SERVER_AWAY
        elif self._was_away and self._returned_at is None:
            self._returned_at = now

    def reason(self, now: float) -> Reason | None:
        """Return why the session has to end, if it has."""
        if self._found is None and self._since is not None and now - self._since > _RECONNECTING_S:
            return SDK_RECONNECTING
        settles_s = _RESTARTS_S if self._restarting else SETTLES_S
        if self._found is None and self._returned_at is not None and now - self._returned_at >= settles_s:
            return SERVER_RETURNED
        return self._found
