"""Decides when to log that a ready token expires. Pure: times are epoch seconds, of the server's clock if known."""

from __future__ import annotations

from dataclasses import dataclass

_HOUR_S, _DAY_S = 3600.0, 86_400.0
# The token's file is read again at this interval, because it may be replaced at any time.
CHECK_INTERVAL_S = 600.0
EXPIRED = 3  # the level of the last notice


@dataclass(frozen=True, slots=True)
class Notice:
    """A log text about a token; an `urgent` one is a warning."""

    text: str
    urgent: bool
    level: int


def notice_of(expires_at: float, now: float) -> Notice:
    """Return the current notice for a token that expires at this time."""
    left_s = expires_at - now
    if left_s <= 0:
        return Notice(f"the token expired {duration(-left_s)} ago; replace it", urgent=True, level=EXPIRED)
    text = f"the token expires in {duration(left_s)}"
    if left_s <= _HOUR_S:
        return Notice(f"{text}; replace it, or the device cannot rejoin after that", urgent=True, level=2)
    if left_s <= _DAY_S:
        return Notice(f"{text}; replace it, or the device cannot rejoin after that", urgent=True, level=1)
    return Notice(text, urgent=False, level=0)


def next_check_s(expires_at: float, now: float) -> float:
    """Return the seconds until the next notice: a day before the expiry, an hour before it, and at it."""
    marks = (expires_at - _DAY_S, expires_at - _HOUR_S, expires_at)
    return min((mark - now for mark in marks if mark > now), default=CHECK_INTERVAL_S)


def duration(seconds: float) -> str:
    """Return a duration rounded to one unit, such as 3 days, 5 hours, 12 minutes or 40 s."""
    for unit_s, unit in ((_DAY_S, "days"), (_HOUR_S, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
