"""Watches one session: while it joins, and then as long as it is alive."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from device.errors import StuckJoinError, UnreachableError
from device.native_sdk.restarts import RESTARTS
from device.room.liveness.policy import LivenessPolicy
from device.room.liveness.reconnect_timeout import SETTLES_S
from device.telemetry.sampler import CLOSE_INTERVAL_S, INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device.network.probe import Probe
    from device.network.route import Routes
    from device.room.session import Session

log = structlog.get_logger()

_STUCK_S = 20.0


@dataclass(slots=True, kw_only=True)
class SessionMonitor:
    """Watches a session from its join to its end.

    `urls`: the configured servers, in order; `stall_s` and `probe_s` as in the configuration: they may change.
    """

    probe: Probe
    routes: Routes
    urls: Sequence[str]
    stall_s: float
    probe_s: float
    on_step: Callable[[], None]  # called at least every few seconds, as long as nothing hangs

    async def until_live(self, session: Session) -> None:
        """Return once the session is published. Raises StuckJoinError 20 s after the server was last away.

        A join cannot be cancelled: the SDK would complete it, beside the next one. Publishing has limits of its own.
        """
        well_since: float | None = time.monotonic()
        while not session.joined.is_set():
            self.on_step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._soon_s()):
                    await session.joined.wait()
                break
            answers = self.routes.local_route is not None and await self._answering((session.url,))
            well_since = (well_since or time.monotonic()) if answers else None
            if well_since is not None and time.monotonic() - well_since > _STUCK_S:
                text = f"{session.url} answers, but a join has been under way for {_STUCK_S:.0f} s"
                raise StuckJoinError(f"{text}; does media get through? (livekit-device check)")
        while not session.live.is_set():
            self.on_step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await session.live.wait()

    async def while_live(self, session: Session, on_permitted: Callable[[bool], None]) -> None:
        """Watch a published session; end it for the first reason that the liveness policy finds, and return."""
        local_route = self.routes.local_route
        liveness = LivenessPolicy(
            stall_s=self.stall_s,
            published_at=time.monotonic(),
            url=session.url,
            address=local_route.address if local_route else None,
        )
        sampler = session.sampler
        sampler.listeners.append(lambda sample: liveness.update(sample.stats, sample.fed, sample.at))
        while True:
            self.on_step()
            liveness.limit(self.stall_s)
            on_permitted(session.permitted)
            if not session.reconnecting:
                RESTARTS.succeeded()
            restarting = RESTARTS.under_way
            liveness.update_sdk(reconnecting=session.reconnecting, restarting=restarting, now=time.monotonic())
            liveness.update_address(self.routes.local_route.address if self.routes.local_route else None)
            if liveness.wants_probe(time.monotonic()) and self.routes.local_route is not None:
                liveness.probed(await self._answering((session.url, *self.urls)), time.monotonic())
            now = time.monotonic()
            if reason := liveness.reason(now):
                if reason.culprit:
                    log.warning("room.stalled", culprit=reason.culprit, age_s=round(reason.age_s, 1))
                log.info("room.given_up", reason=reason.name, why=reason.text)
                session.give_up(reason)
                return
            is_late = liveness.is_late(now)
            sampler.sample_closely(is_late)
            within_s = self._soon_s() if liveness.reconnecting else CLOSE_INTERVAL_S if is_late else INTERVAL_S
            within_s = min(within_s, SETTLES_S) if liveness.settling else within_s
            await _either(sampler.sampled, session.changed, self.routes.changed, within_s=within_s)

    def _soon_s(self) -> float:
        return random.uniform(self.probe_s / 2, self.probe_s)  # noqa: S311 - no secret

    async def _answering(self, urls: Sequence[str]) -> str | None:
        with contextlib.suppress(UnreachableError):
            return (await self.probe.first(tuple(dict.fromkeys(urls)))).url
        return None


async def _either(*events: asyncio.Event, within_s: float) -> None:
    """Wait for one of the events, no longer than so many seconds; clear them."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    for event in events:
        event.clear()
