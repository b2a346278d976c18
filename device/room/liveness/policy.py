"""Whether a session is still alive. Pure: the caller supplies statistics and time, in seconds.

The session ends for the reason of the first detector that fires.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from device.room.liveness.address_change import AddressChange
from device.room.liveness.progress import Progress
from device.room.liveness.reconnect_timeout import ReconnectTimeout
from device.room.liveness.send_stall import SendStall
from device.room.liveness.transport_silence import TransportSilence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.room.reasons import Reason
    from device.telemetry.transport_stats import TransportStats


@dataclass(slots=True, kw_only=True)
class LivenessPolicy:
    """Judges one session from `published_at` on. `url`: its server. `address`: this device's own, if it is known."""

    stall_s: InitVar[float]
    published_at: InitVar[float]
    url: InitVar[str]
    address: InitVar[str | None] = None
    _progress: Progress = field(default_factory=Progress, init=False)
    _silence: TransportSilence = field(init=False)
    _send_stall: SendStall = field(init=False)
    _reconnect: ReconnectTimeout = field(init=False)
    _address_change: AddressChange = field(init=False)

    def __post_init__(self, stall_s: float, published_at: float, url: str, address: str | None) -> None:
        self._silence = TransportSilence(stall_s=stall_s, url=url, published_at=published_at)
        self._send_stall = SendStall(stall_s=stall_s)
        self._reconnect = ReconnectTimeout(url=url)
        self._address_change = AddressChange(address=address)

    @property
    def reconnecting(self) -> bool:
        """Whether the SDK reconnects; probes decide then."""
        return self._reconnect.reconnecting

    @property
    def settling(self) -> bool:
        """Whether the server has just returned: the next look is due in `SETTLES_S`."""
        return self._reconnect.settling

    def limit(self, stall_s: float) -> None:
        """Use this limit from now on."""
        self._silence.stall_s = self._send_stall.stall_s = stall_s

    def update(self, stats: TransportStats, fed: Mapping[str, int], now: float) -> None:
        """Take one sample of the SDK's statistics, and how many units and blocks each stream was fed with."""
        was_in_doubt = self.in_doubt(now)
        self._progress.update(stats, fed, now)
        if self.in_doubt(now):
            return
        self._silence.confirmed()
        if was_in_doubt:
            self._send_stall.resumed(now)

    def update_sdk(self, *, reconnecting: bool, now: float, restarting: bool = False) -> None:
        """Note what the SDK reports about its own connection."""
        if self._reconnect.update(reconnecting=reconnecting, now=now, restarting=restarting):
            self._send_stall.resumed(now)

    def update_address(self, address: str | None) -> None:
        """Note the device's address on the route to the server; None while there is no route."""
        self._address_change.update(address)

    def wants_probe(self, now: float) -> bool:
        """Return whether the servers should be probed now."""
        if self.reconnecting:
            return not self.settling
        return self._silence.wants_probe(self._progress, now)

    def probed(self, url: str | None, now: float) -> None:
        """Note which server answered a probe, if any."""
        self._silence.probed(url, now)
        self._reconnect.probed(url, now)

    def in_doubt(self, now: float) -> bool:
        """Return whether the last confirmation is older than usual."""
        return self._silence.in_doubt(self._progress, now)

    def is_late(self, now: float) -> bool:
        """Return whether anything is late, so that samples should be taken more often."""
        return self._silence.is_late(self._progress, now) or self._send_stall.is_late(self._progress, now)

    def reason(self, now: float) -> Reason | None:
        """Return why the session has to end, if it has."""
        return (
            self._address_change.reason()
            or self._reconnect.reason(now)
            or self._silence.reason(self._progress, now)
            or self._send_stall.reason(self._progress, now)
        )
