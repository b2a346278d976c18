"""Carries out reloads and changes of single keys, one after the other; the last state of the files wins."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from device.config.layer import LayerKind, changes_of
from device.errors import CallError, ConfigError, Problem
from device.lifecycle.memory_policy import Files
from device.reload import guard
from device.reload.decision import keys_text
from device.reload.edit import changed_keys, edited, outcomes, refusal
from device.reload.files import Outcome, ReloadFiles, Result
from device.reload.guard import Guard
from device.reload.overrides import Overrides
from device.tokens.selection import log_warnings

if TYPE_CHECKING:
    from device.lifecycle.sd_notify import Notifier
    from device.network.probe import Probe
    from device.reload.edit import Edit
    from device.reload.running import RunningDevice
    from device.settings import Loader
    from device.telemetry.status import Status

log = structlog.get_logger()

_LOOK_S = 1.0
_EDIT_REVERT_S = 60.0
_MAX_WAITING = 8


class Reloader:
    """Puts changed files, and changed keys, into effect.

    `end_process` is set if a reload needs a new process.
    """

    def __init__(
        self,
        device: RunningDevice,
        *,
        loader: Loader,
        status: Status,
        notifier: Notifier,
        probe: Probe,
        files: ReloadFiles | None = None,
        overrides: Overrides | None = None,
    ) -> None:
        self.end_process = asyncio.Event()
        self._wake, self._requested = asyncio.Event(), False
        self._edits: deque[tuple[Edit, asyncio.Future[dict[str, str]]]] = deque()
        self._device, self._loader, self._status, self._notifier = device, loader, status, notifier
        self._files = files or ReloadFiles.of_environment()
        self._overrides = overrides or Overrides.of_environment(device.settings.path)
        self._guard = Guard(
            device, status=status, probe=probe, overrides=self._overrides, report=self._report, refused=self._refused
        )

    def request(self) -> None:
        """Reload soon; a request while another is carried out is carried out after it."""
        self._requested = True
        self._wake.set()

    async def edit(self, edit: Edit) -> dict[str, str]:
        """Change keys of the running configuration after what is under way; return what was done for each key.

        Raises CallError; then nothing has changed. An edit whose caller gives up before its turn is not carried out.
        """
        if len(self._edits) >= _MAX_WAITING:
            raise CallError("too many changes wait for their turn; try again")
        answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._edits.append((edit, answer))
        self._wake.set()
        return await answer

    async def compare(self) -> Files:
        """Return how the files are, which a new process would put into effect."""
        if self._guard.watching or self._guard.reverted:
            return Files.UNUSABLE
        temporary = changes_of(self._device.settings.layers, LayerKind.TEMPORARY)
        try:
            settings = await asyncio.to_thread(self._loader.files, temporary)
        except ConfigError:
            return Files.UNUSABLE
        return Files.CHANGED if self._device.decide(settings).changes else Files.IN_EFFECT

    async def run(self) -> None:
        """Carry out requests until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S if self._guard.watching else None):
                    await self._wake.wait()
            await self._guard.look()  # also if there is always something to carry out
            self._wake.clear()
            while self._edits:
                await self._answer(*self._edits.popleft())
            if self._requested:
                self._requested = False
                self._notifier.reloading()
                try:
                    await self._reload()
                finally:
                    self._notifier.ready()

    async def _reload(self) -> None:
        before, was_live = self._device.settings, self._status.works
        revert_after_s = self._files.take_request()
        try:
            settings = await asyncio.to_thread(self._loader.files, changes_of(before.layers, LayerKind.TEMPORARY))
            decision = self._device.decide(settings)
            if decision.end_process and revert_after_s is not None:
                text = f"{keys_text(decision.changes)} needs a restart of the service, which is not reverted; "
                raise ConfigError(Problem(str(settings.path), f"{text}reload without --revert-after"))  # noqa: TRY301
            if not decision.changes:
                self._device.settings = replace(before, layers=settings.layers)  # a value may stand in another file
            elif not decision.end_process:
                await self._device.apply(settings, decision)
        except ConfigError as error:
            self._refused(error)
            return
        self._guard.reverted = False
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
            self._guard.start(before, was_live=was_live, after_s=revert_after_s, consequence=guard.NOT_THE_FILES)
            self._report(Outcome.APPLIED, f"changed: {decision.text}")

    async def _answer(self, edit: Edit, answer: asyncio.Future[dict[str, str]]) -> None:
        if answer.done():  # its caller has given up
            return
        try:
            await self._edit(edit, answer)
        except Exception as error:  # one call never ends the device
            if not answer.done():
                answer.set_exception(error)
            elif not answer.cancelled():  # the room could not be left in order
                log.error("config.failed", exc_info=error)  # noqa: TRY400 - one line, redacted

    async def _edit(self, edit: Edit, answer: asyncio.Future[dict[str, str]]) -> None:
        """Carry out an edit, and answer it before the room is left: its caller may be there."""
        before, was_live = self._device.settings, self._status.works
        if edit.persist:
            self._overrides.demand()
        layers = edited(before.config, before.layers, edit, self._overrides.file)
        keys = changed_keys(before.layers) if edit.reset else edit.values

        async def applied(restarted: frozenset[str]) -> None:
            if edit.persist or edit.reset:
                await self._overrides.save(layers)
            if not answer.done():
                answer.set_result(outcomes(keys, decision, restarted))

        try:
            settings = await asyncio.to_thread(self._loader.changed, before, layers)
            decision = self._device.decide(settings)
            if decision.end_process:
                text = f"{decision.text} needs a restart of the daemon, so it cannot be changed now"
                raise ConfigError(Problem(str(before.path), text))  # noqa: TRY301
            await self._device.apply(settings, decision, applied=applied)
        except ConfigError as error:
            raise refusal(error, layers, before.path) from None
        except CallError:  # it could not be persisted
            await self._device.apply(before, self._device.decide(before))
            raise
        if decision.changes:
            log.info("config.changed", changed=decision.text, persist=edit.persist or None, reset=edit.reset or None)
            self._guard.start(before, was_live=was_live, after_s=_EDIT_REVERT_S, consequence=guard.DROPPED)
            self._note(Outcome.APPLIED, f"{'reset' if edit.reset else 'set'}: {decision.text}")

    def _refused(self, error: ConfigError) -> None:
        problems = [str(each) for each in error.problems]
        for each in problems:
            log.error("config.refused", problem=each, hint="nothing has changed; correct it and reload again")
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        self._report(Outcome.REFUSED, f"nothing has changed: {problems[0]}{more}", tuple(problems))

    def _report(self, outcome: Outcome, text: str, problems: tuple[str, ...] = ()) -> None:
        self._note(outcome, text)
        number, final = str(time.monotonic_ns()), not self._guard.watching
        self._files.report(Result(number=number, outcome=outcome.value, text=text, problems=problems, final=final))

    def _note(self, outcome: Outcome, text: str) -> None:
        at = time.strftime("%H:%M:%S UTC", time.gmtime())
        self._status.configuration(f"{outcome.value} at {at}: {text}")
