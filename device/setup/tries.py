"""Tests each answer at once with the steps of `livekit-device check`; rows show the results."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device.check import network, speaker
from device.check.command import obtain_token
from device.check.report import Report
from device.errors import DeviceError, NotPresentError, UnreachableError
from device.network.probe import Probe
from device.network.resolver import Resolver
from device.setup import capture_try

if TYPE_CHECKING:
    from device.config.effective import Config
    from device.network.probe import ProbeResult
    from device.setup.answers import Source
    from device.setup.draft import Loaded


@dataclass(slots=True, kw_only=True)
class Tries:
    """Tests answers and prints rows; `service` is the state that the running service reports, empty if it does not run.

    With `skip` no answer is tested, and each one passes.
    """

    skip: bool
    service: dict[str, Any]
    report: Report = field(default_factory=Report)

    def server(self, url: str) -> bool:
        return self.skip or asyncio.run(self._server(url))

    def token(self, draft: Loaded) -> bool:
        """Obtain a token; if the server answers, validate the token there."""
        return self.skip or asyncio.run(self._token(draft))

    def camera(self, config: Config, before: Source) -> bool:
        return self._source("camera", config, before)

    def microphone(self, config: Config, before: Source) -> bool:
        return self._source("microphone", config, before)

    def speaker(self, config: Config) -> bool:
        """Play a tone, and listen with the microphone, unless the running service uses them."""
        if self.skip or not config.speaker.on:
            return True
        return asyncio.run(speaker.check(self.report, config, self.service))

    async def _server(self, url: str) -> bool:
        with self.report.busy("server", "connecting"):
            return await network.reach(self.report, url, Resolver()) is not None

    async def _token(self, draft: Loaded) -> bool:
        resolver = Resolver()
        seen: ProbeResult | None = None
        with contextlib.suppress(UnreachableError):
            seen = await Probe(resolver).first(draft.config.room.url)
        with self.report.busy("grants", "obtaining a token"):
            join_token = await obtain_token(self.report, draft.config, draft.token_source, seen, resolver)
        if join_token is None:
            return False
        if seen is None:
            self.report.skipped("token", "the server does not answer, and only the server can validate a token")
            return True
        with self.report.busy("token", "asking the server"):
            return await network.validate(self.report, join_token, resolver)

    def _source(self, name: str, config: Config, before: Source) -> bool:
        table = getattr(config, name)
        if self.skip or table.source == "off":
            return True
        if reported := str(self.service.get(name, "")):
            # Two processes cannot open one device.
            held = f"the running service (pid {self.service['pid']}) uses it, and reports: {reported}"
            same = (before.source, before.device) == (table.source, table.device)
            if same and reported.startswith("live"):
                self.report.good(name, held)
            else:
                self.report.skipped(name, f"{held}; the service opens it at its restart")
            return True
        try:
            with self.report.busy(name, "opening it"):
                found = asyncio.run(capture_try.first_media(name, config))
        except NotPresentError as error:
            self.report.skipped(name, f"not present now ({error}); it is published as soon as it is connected")
            return True
        except DeviceError as error:
            self.report.bad(name, str(error) or error.for_viewers)
            return False
        self.report.good(name, found)
        return True
