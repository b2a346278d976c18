"""Whether a camera has to send, by what the room says of its viewers. Pure: the caller supplies time, in seconds.

The signals are late, and some are lost. So doubt means sending, and no viewer waits for a timer. What is known of the
SDK (livekit 1.2.1, measured): `active` of a publication is True when it begins, and becomes False 5 to 11 s after the
last viewer; it becomes True 0.2 to 0.4 s after a subscription. The event of a subscription comes once per publication.
So a publication that has just begun is watched only if that event says so.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

# After a sign that a viewer may be about to subscribe. It also bounds how often the encoder is paused.
GRACE_S = 10.0
# `active` may still be False for a moment after the event of a subscription.
_SUBSCRIBED_S = 2.0
# A publication that is still active after this time is watched.
_SETTLES_S = 15.0
# Statistics without a word about the publication: it is not known whether it is watched.
_UNKNOWN_S = 5.0
# Between sessions nobody watches; shorter interruptions change nothing, and neither does the time before the first one.
_AWAY_S = 30.0

_NEVER = float("-inf")


class Sending(enum.Enum):
    """What a camera does for the room; the values are for the log."""

    SENDING = "sending"
    PAUSED = "paused"  # the source runs, nothing is encoded
    ASLEEP = "asleep"  # the source is closed


@dataclass(slots=True, kw_only=True)
class WatchPolicy:
    """Decides for one camera. `sleep_after_s`: of pause until the source is closed; None: it stays open.

    Once paused, a source that delivers nothing (`delivers`) is not closed: whether it works again would not be known.
    """

    started_at: float
    sleep_after_s: float | None
    state: Sending = field(default=Sending.SENDING, init=False)
    watched: bool = field(default=False, init=False)  # surely; a camera may send without that
    delivers: bool = True
    _published_at: float | None = field(default=None, init=False)  # or joined
    _left_at: float = field(default=float("inf"), init=False)
    _forbidden: bool = field(default=False, init=False)  # the room does not take it
    _active: bool | None = field(default=None, init=False)
    _known_at: float = field(default=_NEVER, init=False)
    _was_inactive: bool = field(default=False, init=False)  # since it was published
    _subscribed_at: float = field(default=_NEVER, init=False)
    _send_until: float = field(init=False)
    _paused_at: float = field(default=_NEVER, init=False)

    def __post_init__(self) -> None:
        self._send_until = self.started_at + GRACE_S

    def joined(self, now: float) -> None:
        """Note that a session has begun."""
        self._forbidden = False
        self.published(now)

    def left(self, now: float) -> None:
        """Note that the session has ended."""
        if self._published_at is not None:
            self._published_at, self._left_at, self._active = None, now, None

    def published(self, now: float) -> None:
        """Note that a publication has begun, or another one in its place."""
        self._published_at = self._known_at = now
        self._active, self._was_inactive = None, False
        if self._forbidden:
            self._forbidden = False
            self.may_be_watched(now)

    def forbidden(self) -> None:
        """Note that the room takes no publication, so that nobody can watch."""
        self._forbidden, self.watched = True, False

    def may_be_watched(self, now: float) -> None:
        """Note a sign that a viewer may be about to subscribe, such as a new participant."""
        if not self._forbidden:
            self._send_until = now + GRACE_S
            self.state = Sending.SENDING

    def subscribed(self, now: float) -> None:
        """Note that a viewer has subscribed."""
        if not self._forbidden:
            self._subscribed_at, self.watched = now, True
            self.may_be_watched(now)

    def active(self, *, active: bool | None, now: float) -> None:
        """Note whether the publication is active; None: the SDK does not say."""
        if self._published_at is None or self._forbidden:
            return
        if active is not None:
            self._active, self._known_at = active, now
        if active is False:
            self._was_inactive = True
            if now - self._subscribed_at >= _SUBSCRIBED_S:
                self.watched = False
        elif active is None and now - self._known_at < _UNKNOWN_S:
            return
        elif active is None:
            self.may_be_watched(now)
        elif self.watched or self._was_inactive or now - self._published_at >= _SETTLES_S:
            self.watched, self._was_inactive = True, True
            if self.state is not Sending.SENDING:
                self.may_be_watched(now)

    def update(self, now: float) -> None:
        """Pause or sleep, if it is time for that."""
        away = self._published_at is None and now - self._left_at >= _AWAY_S
        if away:
            self.watched = False
        if self.state is Sending.SENDING:
            unwatched = away or self._forbidden or (self._active is False and not self.watched)
            if unwatched and now >= self._send_until:
                self.state, self._paused_at = Sending.PAUSED, now
        if self.state is Sending.PAUSED and now >= self._sleeps_at:
            self.state = Sending.ASLEEP
        elif self.state is Sending.ASLEEP and not self.delivers:  # it was opened for another purpose
            self.state = Sending.PAUSED

    def next_at(self, now: float) -> float:
        """Return when `update` is due without any signal; infinite if never."""
        times = (
            self._left_at + _AWAY_S if self._published_at is None else now,
            self._send_until if self.state is Sending.SENDING else now,
            self._sleeps_at if self.state is Sending.PAUSED else now,
        )
        return min((each for each in times if each > now), default=float("inf"))

    @property
    def _sleeps_at(self) -> float:
        if self.sleep_after_s is None or not self.delivers:
            return float("inf")
        return self._paused_at + self.sleep_after_s
