"""How many calls from the room are taken. Pure: the caller supplies the time."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

CALLER_RATE, CALLER_BURST = 5.0, 20
ALL_RATE, ALL_BURST = 20.0, 60
CALLER_UNDER_WAY, ALL_UNDER_WAY = 4, 8
_LOG_RATE, _LOG_BURST = 1.0, 20
_MAX_CALLERS: Final = 256


class TokenBucket:
    """Allows `burst` events at once, and `rate` a second in the long run."""

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = float(burst), float("-inf")

    def take(self, now: float) -> bool:
        """Return whether one more event is allowed; it counts then."""
        self._tokens = min(float(self._burst), self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(now, self._at)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class CallLimits:
    """Rates for each caller and for all, and the number of calls that are carried out at a time."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, TokenBucket] = OrderedDict()  # the one that called last is the last
        self._all = TokenBucket(rate=ALL_RATE, burst=ALL_BURST)
        self._log = TokenBucket(rate=_LOG_RATE, burst=_LOG_BURST)
        self._under_way: Counter[str] = Counter()
        self._unlogged = 0

    def too_fast(self, caller: str, now: float) -> bool:
        """Return whether a caller makes more calls than it may; refused ones count."""
        bucket = self._callers.pop(caller, None) or TokenBucket(rate=CALLER_RATE, burst=CALLER_BURST)
        self._callers[caller] = bucket
        if len(self._callers) > _MAX_CALLERS:
            self._callers.popitem(last=False)
        return not bucket.take(now)

    def all_too_fast(self, now: float) -> bool:
        """Return whether all callers together make more calls than are carried out."""
        return not self._all.take(now)

    def begin(self, caller: str) -> bool:
        """Note that a call begins; return False if too many are under way already."""
        if self._under_way[caller] >= CALLER_UNDER_WAY or self._under_way.total() >= ALL_UNDER_WAY:
            return False
        self._under_way[caller] += 1
        return True

    def end(self, caller: str) -> None:
        """Note that a call has ended."""
        self._under_way[caller] -= 1
        if not self._under_way[caller]:
            del self._under_way[caller]

    def unlogged(self, now: float) -> int | None:
        """Return how many refusals were not logged before this one; None if this one is not to be logged either."""
        if not self._log.take(now):
            self._unlogged += 1
            return None
        count, self._unlogged = self._unlogged, 0
        return count
