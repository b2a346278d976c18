"""Watches over a change, and reverts it if the device is not live again in time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from device.config.layer import LayerKind, changes_of
from device.errors import ConfigError, UnreachableError
from device.network import rules
from device.reload.files import Outcome
from device.reload.revert import Action, RevertPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.network.probe import Probe
    from device.reload.overrides import Overrides
    from device.reload.running import RunningDevice
    from device.settings import Settings
    from device.telemetry.status import Status

log = structlog.get_logger()

NOT_THE_FILES = "the files are not what is in effect"
DROPPED = "it is dropped"
# So long after a change, or its revert, a device that was live before it counts as live: what was done may need it.
SETTLES_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    before: Settings
    policy: RevertPolicy
    consequence: str


class Guard:
    """Over one change at a time. `report` gets what becomes of it, `refused` why it cannot be reverted."""

    def __init__(
        self,
        device: RunningDevice,
        *,
        status: Status,
        probe: Probe,
        overrides: Overrides,
        report: Callable[[Outcome, str], None],
        refused: Callable[[ConfigError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device, self._status, self._probe, self._overrides = device, status, probe, overrides
        self._report, self._refused, self._clock = report, refused, clock
        self._watch: _Watch | None = None
        self._settles_until = float("-inf")
        self.reverted = False  # so that the files are not what is in effect

    @property
    def watching(self) -> bool:
        """Whether the last change may still be reverted."""
        return self._watch is not None

    def start(self, before: Settings, *, was_live: bool, after_s: float | None, consequence: str) -> None:
        """Revert to the settings before if the device was live with them and is not live in time.

        A second change meanwhile does not make the first one's settings known good ones: a revert returns to those
        before both, and the time begins again. Without `after_s` the watch over an earlier change ends. `consequence`
        is logged.
        """
        now = self._clock()
        is_good = was_live or now < self._settles_until
        known_good = self._watch.before if self._watch else before if is_good else None
        if self._watch and NOT_THE_FILES in (self._watch.consequence, consequence):
            consequence = NOT_THE_FILES
        self._watch = None
        if known_good is not None:
            self._settles_until = now + SETTLES_S
        if after_s is None:
            return
        if known_good is None:
            log.warning("config.not_guarded", why="the device was not live before the change, so it is not reverted")
            return
        policy = RevertPolicy(after_s=after_s, began_at=now)
        self._watch = _Watch(before=known_good, policy=policy, consequence=consequence)

    async def look(self) -> None:
        """Carry out what the policy decides now."""
        watch = self._watch
        if watch is None:
            return
        action = watch.policy.next(self._clock(), live=self._status.works)
        if action is Action.PROBE:
            answered = await self._answers(watch.before)
            if not answered:
                log.warning("config.not_reverted", why="the server of the configuration before does not answer either")
            watch.policy.probed(self._clock(), answered=answered)
        elif action is Action.KEEP:
            self._watch = None
            log.info("config.kept", why="the device is live with it")
            self._report(Outcome.APPLIED, "kept: the device is live with it")
        elif action is Action.REVERT:
            self._watch = None
            await self._revert(watch)

    async def _revert(self, watch: _Watch) -> None:
        decision = self._device.decide(watch.before)
        why = f"the device was not live within {watch.policy.after_s:g} s"
        log.error("config.reverted", changed=decision.text, why=why, hint=watch.consequence)
        changed = self._device.settings
        try:
            await self._device.apply(watch.before, decision)
        except ConfigError as error:
            self._refused(error)
            return
        if changes_of(changed.layers, LayerKind.REMOTE) != changes_of(watch.before.layers, LayerKind.REMOTE):
            await self._overrides.restore(watch.before.layers)
        self._settles_until = self._clock() + SETTLES_S
        self.reverted = watch.consequence == NOT_THE_FILES
        self._report(Outcome.REVERTED, f"{why}, so {decision.text} is as before: {watch.consequence}")

    async def _answers(self, settings: Settings) -> bool:
        try:
            with rules.instead(settings.network):
                await self._probe.first(settings.config.room.url)
        except UnreachableError:
            return False
        return True
