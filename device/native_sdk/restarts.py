"""Whether the SDK restarts its connection at this moment, by its own log.

To leave a Room meanwhile makes livekit 1.2.1 panic if the restart then succeeds (docs/upstream.md). There is no other
sign of an attempt. An SDK that writes other lines is never seen restarting.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BEGINS = "restarting connection... attempt"
_FAILED = "restarting connection failed"
# The library's limit for one attempt: it gives up a connection after 15 s.
_MOST_S = 15.0
_POLL_S = 0.02


class Restarts:
    """Notes the attempts. `read` is called by any thread."""

    def __init__(self) -> None:
        self._since: float | None = None

    def read(self, line: str) -> None:
        """Take a line of the SDK's log."""
        if _BEGINS in line:
            self._since = time.monotonic()
        elif _FAILED in line:
            self._since = None

    def succeeded(self) -> None:
        """Note that the SDK is connected again, which its log does not say in one word."""
        self._since = None

    async def over(self, is_reconnecting: Callable[[], bool], *, within_s: float) -> None:
        """Wait until the attempt that is under way, if any, has ended; at most so long."""
        give_up_at = time.monotonic() + within_s
        while self.under_way and is_reconnecting() and time.monotonic() < give_up_at:  # noqa: ASYNC110 - a thread ends it
            await asyncio.sleep(_POLL_S)
        self._since = None

    @property
    def under_way(self) -> bool:
        """Whether an attempt is under way."""
        since = self._since
        return since is not None and time.monotonic() - since < _MOST_S


RESTARTS = Restarts()
