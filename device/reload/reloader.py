"""Carries out requests to reload, one after the other; the last state of the files wins."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from device.errors import ConfigError, Problem, UnreachableError
from device.lifecycle.memory_policy import Files
from device.network import rules
from device.reload.decision import keys_text
from device.reload.files import Outcome, Result
from device.reload.revert import Action, RevertPolicy
from device.tokens.selection import log_warnings

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.lifecycle.sd_notify import Notifier
    from device.network.probe import Probe
    from device.reload.files import ReloadFiles
    from device.reload.running import RunningDevice
    from device.settings import Settings
    from device.telemetry.status import Status

log = structlog.get_logger()

_LOOK_S = 1.0
_NOT_THE_FILES = "the files are not what is in effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guarded:
    """A reload that is reverted if the device is not live again in time."""

    before: Settings
    policy: RevertPolicy


class Reloader:
    """Puts changed files into effect. `load` loads them, as at the start.

    `end_process` is set if that needs a new process.
    """

    def __init__(
        self,
        device: RunningDevice,
        *,
        load: Callable[[], Settings],
        status: Status,
        notifier: Notifier,
        files: ReloadFiles,
        probe: Probe,
    ) -> None:
        self.end_process = asyncio.Event()
        self._requested = asyncio.Event()
        self._device, self._load = device, load
        self._status, self._notifier, self._files, self._probe = status, notifier, files, probe
        self._guarded: _Guarded | None = None
        self._reverted = False

    def request(self) -> None:
        """Reload soon; a request while another is carried out is carried out after it."""
        self._requested.set()

    async def compare(self) -> Files:
        """Return how the files are, which a new process would put into effect."""
        if self._guarded is not None or self._reverted:
            return Files.UNUSABLE
        try:
            settings = await asyncio.to_thread(self._load)
        except ConfigError:
            return Files.UNUSABLE
        return Files.CHANGED if self._device.decide(settings).changes else Files.IN_EFFECT

    async def run(self) -> None:
        """Carry out requests until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S if self._guarded else None):
                    await self._requested.wait()
            if self._requested.is_set():
                self._requested.clear()
                self._notifier.reloading()
                try:
                    await self._reload()
                finally:
                    self._notifier.ready()
            elif self._guarded is not None:
                await self._judge(self._guarded)

    async def _reload(self) -> None:
        before, was_live = self._device.settings, self._status.live
        revert_after_s = self._files.take_request()
        try:
            settings = await asyncio.to_thread(self._load)
            decision = self._device.decide(settings)
            if decision.end_process and revert_after_s is not None:
                text = f"{keys_text(decision.changes)} needs a restart of the service, which is not reverted; "
                raise ConfigError(Problem(str(settings.path), f"{text}reload without --revert-after"))  # noqa: TRY301
            if decision.changes and not decision.end_process:
                await self._device.apply(settings, decision)
        except ConfigError as error:
            self._refused(error)
            return
        self._reverted = False
        log_warnings(settings.warnings, settings.token_source)
        if not decision.changes:
            self._report(Outcome.UNCHANGED, "nothing that is in effect has changed")
        elif decision.end_process:
            log.warning("config.restarting", changed=decision.text)
            self._report(Outcome.RESTARTS, f"the service restarts because of {decision.text}")
            self.end_process.set()
        else:
            log.info(
                "config.reloaded",
                changed=decision.text,
                workers=", ".join(sorted(decision.restart)) or None,
                rejoin=decision.rejoin,
            )
            self._guard(before, was_live=was_live, after_s=revert_after_s)
            self._report(Outcome.APPLIED, f"changed: {decision.text}")

    def _refused(self, error: ConfigError) -> None:
        problems = [str(each) for each in error.problems]
        for each in problems:
            log.error("config.refused", problem=each, hint="nothing has changed; correct it and reload again")
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        self._report(Outcome.REFUSED, f"nothing has changed: {problems[0]}{more}", tuple(problems))

    def _guard(self, before: Settings, *, was_live: bool, after_s: float | None) -> None:
        """Revert to the configuration before if the device was live with it and is not live in time.

        A second reload meanwhile does not make the first one's configuration a known good one.
        """
        known_good = self._guarded.before if self._guarded else before if was_live else None
        self._guarded = None
        if after_s is None:
            return
        if known_good is None:
            log.warning("config.not_guarded", why="the device was not live before the reload, so it is not reverted")
            return
        policy = RevertPolicy(after_s=after_s, began_at=time.monotonic())
        self._guarded = _Guarded(before=known_good, policy=policy)

    async def _judge(self, guarded: _Guarded) -> None:
        action = guarded.policy.next(time.monotonic(), live=self._status.live)
        if action is Action.PROBE:
            answered = await self._answers(guarded.before)
            if not answered:
                log.warning("config.not_reverted", why="the server of the configuration before does not answer either")
            guarded.policy.probed(time.monotonic(), answered=answered)
        elif action is Action.KEEP:
            self._guarded = None
            log.info("config.kept", why="the device is live with it")
            self._report(Outcome.APPLIED, "kept: the device is live with it")
        elif action is Action.REVERT:
            await self._revert(guarded)

    async def _revert(self, guarded: _Guarded) -> None:
        self._guarded, self._reverted = None, True
        decision = self._device.decide(guarded.before)
        why = f"the device was not live within {guarded.policy.after_s:g} s"
        log.error("config.reverted", changed=decision.text, why=why, hint=_NOT_THE_FILES)
        try:
            await self._device.apply(guarded.before, decision)
        except ConfigError as error:
            self._refused(error)
            return
        self._report(Outcome.REVERTED, f"{why}, so {decision.text} is as before: {_NOT_THE_FILES}")

    async def _answers(self, settings: Settings) -> bool:
        try:
            with rules.instead(settings.network):
                await self._probe.first(settings.config.room.url)
        except UnreachableError:
            return False
        return True

    def _report(self, outcome: Outcome, text: str, problems: tuple[str, ...] = ()) -> None:
        at = time.strftime("%H:%M:%S UTC", time.gmtime())
        self._status.configuration(f"{outcome.value} at {at}: {text}")
        final = self._guarded is None
        number = str(time.monotonic_ns())
        self._files.report(Result(number=number, outcome=outcome.value, text=text, problems=problems, final=final))
