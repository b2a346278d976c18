"""What the workers of one stream have dropped, and why they ended, since the daemon's start: for status and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from device.ipc.messages import NotSent
from device.ipc.worker_state import ABSENT_ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.ipc.media_messages import SpeakerReport
    from device.media.block import Block
    from device.media.picture import AccessUnit

DROP_CAUSES: Final = ("late", "rate_limit", "bitrate_budget", "encoder_busy", "overflow")
"""Why a worker drops pictures or sound before it sends them."""
RESTART_REASONS: Final = ("requested", "stalled", "absent", "failed", "crashed", "not_started")
_MOST = 1 << 53  # what each number of JSON can hold


class WorkerCounts:
    """Counts across the restarts of a worker, which counts from 0 again. What it reports is untrusted.

    `captured_at_us` and `delivered_at` are of the newest unit or block: its capture time, and its arrival in monotonic
    seconds; 0 if there was none. `pid` is the newest worker's; 0 while none runs.
    """

    def __init__(self) -> None:
        self.drops = dict.fromkeys(DROP_CAUSES, 0)
        self.restarts = dict.fromkeys(RESTART_REASONS, 0)
        self.captured_at_us, self.delivered_at, self.pid = 0, 0.0, 0
        self._reported: dict[str, int] = {}

    def began(self, pid: int) -> None:
        """Note that another worker runs."""
        self.pid, self._reported = pid, {}

    def delivered(self, media: AccessUnit | Block | NotSent | SpeakerReport, now: float) -> None:
        """Note that the source delivers; what is captured only has no time of its own."""
        if isinstance(media, NotSent):
            self.captured_at_us = int(now * 1e6)
        else:
            self.captured_at_us, self.delivered_at = media.captured_at_us, now

    def dropped(self, totals: Mapping[str, Any]) -> None:
        """Add what a worker has dropped since its last report; causes that are not known do not count."""
        for cause in DROP_CAUSES:
            total = totals.get(cause)
            if type(total) is int and (before := self._reported.get(cause, 0)) < total < _MOST:
                self.drops[cause] += total - before
                self._reported[cause] = total

    def ended(self, *, by_itself: bool, failure: str, replaced: bool) -> None:
        """Note why a worker ended: `failure` is the type of the error that it reported, if any."""
        self.pid = 0
        self.restarts[_reason(by_itself=by_itself, failure=failure, replaced=replaced)] += 1

    def not_started(self) -> None:
        """Note that a worker could not be started."""
        self.restarts["not_started"] += 1


def _reason(*, by_itself: bool, failure: str, replaced: bool) -> str:
    if replaced:
        return "requested"
    if not by_itself:
        return "stalled"
    if failure:
        return "absent" if failure in ABSENT_ERRORS else "failed"
    return "crashed"
