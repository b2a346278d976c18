"""One stream is fed but not sent, or sent but not reported, while the transport is alive. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.room.liveness.progress import NEVER
from device.room.liveness.transport_silence import FIRST_CONFIRMATION_S
from device.room.reasons import Reason, delivery_stalled

if TYPE_CHECKING:
    from device.room.liveness.progress import Progress, StreamProgress

# After an interruption the SDK's estimate of the link may be so low that it sends no picture for many seconds; a new
# Room starts with a new estimate.
_UNSENT_S, _CONFIRMED_SINCE_S = 2.5, 1.0


@dataclass(slots=True, kw_only=True)
class SendStall:
    """Fires if the SDK sends nothing of a stream for 2.5 s, or if a stream is not reported for 10 s.

    A stream that is not fed is the source's matter, not the room's.
    """

    stall_s: float
    _resumed_at: float = field(default=NEVER, init=False)

    def resumed(self, now: float) -> None:
        """Restart all limits, because the SDK has just recovered its connection."""
        self._resumed_at = now

    def is_late(self, progress: Progress, now: float) -> bool:
        """Return whether a stream is late, so that samples should be taken more often."""
        fed = (each for each in progress.streams.values() if each.fed_since is not None)
        return any(self._unsent_s(each, now) > _UNSENT_S / 2 for each in fed)

    def reason(self, progress: Progress, now: float) -> Reason | None:
        """Return why the session has to end, if it has."""
        first_s = max(self.stall_s, FIRST_CONFIRMATION_S)
        for name, stream in progress.streams.items():
            if stream.fed_since is None:
                continue
            unsent_s = self._unsent_s(stream, now)
            confirmed = progress.confirmed_at - (now - unsent_s) > _CONFIRMED_SINCE_S
            limit_s = _UNSENT_S if confirmed else self.stall_s
            if unsent_s > (limit_s if stream.sent.ever_changed else first_s):
                return delivery_stalled(culprit=f"{name} sending", age_s=unsent_s)
            unreported_s = now - max(stream.report.changed_at, stream.fed_since, self._resumed_at)
            if unreported_s > first_s:
                return delivery_stalled(culprit=f"{name} transport", age_s=unreported_s)
        return None

    def _unsent_s(self, stream: StreamProgress, now: float) -> float:
        """Return for how long the SDK has sent no unit of a stream that is fed."""
        return now - max(stream.sent.changed_at, stream.fed_since or now, self._resumed_at)
