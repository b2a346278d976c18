"""Whether a session is still alive. Pure: the caller supplies statistics and time, in seconds.

The SDK's own state, accepted frames and sent bytes are no proof. Proof of life is what the server returns: STUN
responses, and receiver reports for the media that are fed. Their age counts from the last change of their value: a
report carries its time; beside reports, a response counts from the earliest possible moment.

The session ends when nothing returns for `stall_s`; for three quarters of that, if reports had been coming and the
server answers probes. While something returns, it ends when the SDK accepts frames but sends none for 2.5 s, or when
one medium is fed and sent but not reported for 10 s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from device.room.reasons import ADDRESS_CHANGED, DELIVERY_STALLED, SDK_RECONNECTING, SERVER_AWAY, SERVER_RETURNED

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEVER = float("-inf")
# To a publication's first proof, for connecting by ICE/TCP after UDP failed takes longer than a stall may; and to the
# next report of one medium, while the other's come.
_FIRST_PROOF_S = 10.0
# While the SDK resumes a lost signalling connection, media flow on; its attempts may be 7 s apart.
_RECONNECTING_S = 15.0
# After an interruption the SDK's estimate of the link may be so low that it sends no picture for many seconds; a new
# Room begins with a new one.
_UNSENT_S, _PROVED_SINCE_S = 2.5, 1.0
# Reports come once a second: later than this, looks come closer together.
_LATE_S = 1.25
# What has changed since the last look did so at any time since, but looks are no further apart than this, as a rule.
_LOOKS_APART_S = 1.0
# If the server answers probes while no report arrives, the media path is blocked: waiting for the server is pointless.
_ASK_AGAIN_S, _WHERE_ANSWERED = 1.0, 0.75
_PAUSE_S = 2.0  # more than between two pictures at 1 fps


class Report(NamedTuple):
    """The newest receiver report: when it came, in microseconds of a clock that may jump, and its age in seconds."""

    at_us: int
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportStats:
    """One look at the SDK's statistics. Values mean nothing but that they change while all is well.

    `lost`: the share of packets, 0 to 1, that the newest report misses.
    `responses`: STUN responses on the selected candidate pair. `reports`: the newest ones, and
    `sent`: frames or packets that left, each by "video" and "audio".
    """

    responses: object
    reports: Mapping[str, Report] = field(default_factory=dict)
    sent: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Moving:
    """A value, and since when it has not changed."""

    value: object = None
    changed_at: float = _NEVER

    def saw(self, value: object, now: float) -> None:
        if value is not None and value != self.value:
            self.value, self.changed_at = value, now


@dataclass(slots=True)
class _Medium:
    fed: _Moving = field(default_factory=_Moving)
    sent: _Moving = field(default_factory=_Moving)
    report: _Moving = field(default_factory=_Moving)
    fed_since: float | None = None  # without a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """What stands still, as the culprit, and for how long."""

    culprit: str
    age_s: float


@dataclass(slots=True, kw_only=True)
class LivenessPolicy:
    """Judges one stay, from its publication at `began_at` on."""

    stall_s: float
    began_at: float
    url: str
    address: str | None = None  # our own, on the way to the server; None: not known
    _responses: _Moving = field(default_factory=_Moving, init=False)
    _looked_at: float = field(default=_NEVER, init=False)
    _media: dict[str, _Medium] = field(default_factory=dict, init=False)
    _reconnecting_since: float | None = field(default=None, init=False)
    _again_at: float = field(default=_NEVER, init=False)
    _was_away: bool = field(default=False, init=False)
    _asked_at: float = field(default=_NEVER, init=False)
    _answers_since: float | None = field(default=None, init=False)
    _reason: str = field(default="", init=False)

    @property
    def reconnecting(self) -> bool:
        """Whether the SDK reconnects: what a probe shows then decides."""
        return self._reconnecting_since is not None

    def saw(self, transport_stats: TransportStats, fed: Mapping[str, int], now: float) -> None:
        """Note what the SDK's statistics show, and how many units and blocks it was fed with."""
        in_doubt = self.in_doubt(now)
        earliest = max(self._looked_at, now - _LOOKS_APART_S)
        self._looked_at = now
        self._responses.saw(transport_stats.responses, earliest if self._reported else now)
        for kind in self._media.keys() - fed.keys():  # no longer published
            del self._media[kind]
        for kind, count in fed.items():
            medium = self._media.setdefault(kind, _Medium())
            if medium.fed.value is not None and count != medium.fed.value and medium.fed_since is None:
                medium.fed_since = now
            medium.fed.saw(count, now)
            if now - medium.fed.changed_at > _PAUSE_S:
                medium.fed_since = None
            medium.sent.saw(transport_stats.sent.get(kind), now)
            if report := transport_stats.reports.get(kind):
                medium.report.saw(report.at_us, min(max(earliest, now - report.age_s), now))
        if self.in_doubt(now):
            return
        self._answers_since = None
        if in_doubt:
            self._again_at = now

    def sdk(self, *, reconnecting: bool, now: float) -> None:
        """Note what the SDK says of its own connection."""
        if reconnecting != self.reconnecting:
            self._reconnecting_since = now if reconnecting else None
            self._again_at = self._again_at if reconnecting else now
            self._was_away = False

    def wants_probe(self, now: float) -> bool:
        """Say whether it is worth asking which server answers."""
        return self.reconnecting or (self.in_doubt(now) and now - self._asked_at >= _ASK_AGAIN_S)

    def probed(self, url: str | None, now: float) -> None:
        """Note which server answers, if any, while the SDK reconnects or proof stays away."""
        self._asked_at = now
        if url != self.url:
            self._answers_since = None
        elif self._answers_since is None:
            self._answers_since = now
        if not self.reconnecting:
            return
        if url is None:
            self._was_away = True
        elif url != self.url:
            self._reason = SERVER_AWAY
        elif self._was_away:
            self._reason = SERVER_RETURNED

    def local_route(self, address: str | None) -> None:
        """Note our own address on the way to the server; None while there is no way."""
        if address and self.address and address != self.address:
            self._reason = ADDRESS_CHANGED
        self.address = address or self.address

    def reason(self, now: float) -> str:
        """Return why this stay is to be given up; empty where it is not."""
        if self._reason:
            return self._reason
        if self.stall(now) is not None:
            return DELIVERY_STALLED
        if self._reconnecting_since is not None and now - self._reconnecting_since > _RECONNECTING_S:
            return SDK_RECONNECTING
        return ""

    def in_doubt(self, now: float) -> bool:
        """Say whether proof is older than it is as a rule."""
        return self._silent_s(now) > self.stall_s / 2

    def wants_closer_look(self, now: float) -> bool:
        """Say whether anything is late, so that it is worth looking more often."""
        fed = (each for each in self._media.values() if each.fed_since is not None)
        return self._silent_s(now) > _LATE_S or any(self._unsent_s(each, now) > _UNSENT_S / 2 for each in fed)

    def stall(self, now: float) -> Stall | None:
        """Return what has stood still for too long."""
        age_s = self._silent_s(now)
        if age_s > (self._patience_s(now) if self._proved_at > _NEVER else self._first_s):
            return Stall(culprit="transport", age_s=age_s)
        for kind, medium in self._media.items():
            # Of a source that pauses nothing has to come back; that it pauses is not the room's matter.
            if medium.fed_since is None:
                continue
            age_s = self._unsent_s(medium, now)
            limit_s = _UNSENT_S if self._proved_at - (now - age_s) > _PROVED_SINCE_S else self.stall_s
            if age_s > (limit_s if medium.sent.changed_at > _NEVER else self._first_s):
                return Stall(culprit=f"{kind} encoder", age_s=age_s)
            age_s = now - max(medium.report.changed_at, medium.fed_since, self._again_at)
            if age_s > self._first_s:
                return Stall(culprit=f"{kind} transport", age_s=age_s)
        return None

    def _silent_s(self, now: float) -> float:
        """Return for how long nothing has come back."""
        return now - max(self._proved_at, self.began_at)

    def _patience_s(self, now: float) -> float:
        """Return for how long nothing may come back, once something has."""
        answers = self._answers_since is not None and now - self._answers_since >= _ASK_AGAIN_S
        return self.stall_s * _WHERE_ANSWERED if answers and self._reported else self.stall_s

    def _unsent_s(self, medium: _Medium, now: float) -> float:
        """Return for how long nothing was sent of what is fed; a recovery of the SDK restarts the time."""
        return now - max(medium.sent.changed_at, medium.fed_since or now, self._again_at)

    @property
    def _reported(self) -> bool:
        """Whether reports come, each second; responses alone are up to 2.5 s apart, and all is well."""
        return any(each.report.changed_at > _NEVER and each.fed_since is not None for each in self._media.values())

    @property
    def _proved_at(self) -> float:
        """When anything at all came back: with a fifth of all packets lost, no single kind of proof is young."""
        return max(self._responses.changed_at, *(each.report.changed_at for each in self._media.values()), _NEVER)

    @property
    def _first_s(self) -> float:
        return max(self.stall_s, _FIRST_PROOF_S)
