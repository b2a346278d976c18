"""The server returns nothing: neither STUN responses nor receiver reports. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.room.liveness.progress import NEVER
from device.room.reasons import Reason, delivery_stalled

if TYPE_CHECKING:
    from device.room.liveness.progress import Progress

# To the first confirmation: connecting by ICE/TCP after UDP failed takes longer than a stall may.
FIRST_CONFIRMATION_S = 10.0
# Reports arrive once a second. If one is later than this, samples are taken more often.
_LATE_S = 1.25
# If nothing is published that viewers receive, there are no reports, and STUN responses may be 2.5 s apart.
_IDLE_LATE_S = 2.75
# If the server answers probes while no report arrives, the media path is blocked: it does not help to wait.
_PROBE_AGAIN_S, _SHARE_IF_ANSWERED = 1.0, 0.75


@dataclass(slots=True, kw_only=True)
class TransportSilence:
    """Fires if nothing is confirmed for `stall_s`; for three quarters of that, if reports came and probes are answered.

    `published_at`: when the session was published.
    """

    stall_s: float
    url: str
    published_at: float
    _probed_at: float = field(default=NEVER, init=False)
    _answers_since: float | None = field(default=None, init=False)

    def silent_s(self, progress: Progress, now: float) -> float:
        """Return for how long nothing has been confirmed."""
        return now - max(progress.confirmed_at, self.published_at)

    def is_late(self, progress: Progress, now: float) -> bool:
        """Return whether a confirmation is late, so that samples should be taken more often."""
        return self.silent_s(progress, now) > (_IDLE_LATE_S if self._idle(progress) else _LATE_S)

    def in_doubt(self, progress: Progress, now: float) -> bool:
        """Return whether the last confirmation is older than usual, so that a probe is of use."""
        usual_s = max(self.stall_s / 2, _IDLE_LATE_S) if self._idle(progress) else self.stall_s / 2
        return self.silent_s(progress, now) > usual_s

    def wants_probe(self, progress: Progress, now: float) -> bool:
        """Return whether the server should be probed now."""
        return self.in_doubt(progress, now) and now - self._probed_at >= _PROBE_AGAIN_S

    def confirmed(self) -> None:
        """Forget earlier probes, because the server has confirmed something since."""
        self._answers_since = None

    def probed(self, url: str | None, now: float) -> None:
        """Note which server answered a probe, if any."""
        self._probed_at = now
        if url != self.url:
            self._answers_since = None
        elif self._answers_since is None:
            self._answers_since = now

    def reason(self, progress: Progress, now: float) -> Reason | None:
        """Return why the session has to end, if it has."""
        silent_s = self.silent_s(progress, now)
        if silent_s > self._limit_s(progress, now):
            return delivery_stalled(culprit="transport", age_s=silent_s)
        return None

    def _idle(self, progress: Progress) -> bool:
        """Return whether only STUN can confirm anything, as while nobody watches."""
        return not progress.streams and progress.confirmed_at > NEVER

    def _limit_s(self, progress: Progress, now: float) -> float:
        if progress.confirmed_at == NEVER:
            return max(self.stall_s, FIRST_CONFIRMATION_S)
        answers = self._answers_since is not None and now - self._answers_since >= _PROBE_AGAIN_S
        return self.stall_s * _SHARE_IF_ANSWERED if answers and progress.reported else self.stall_s
