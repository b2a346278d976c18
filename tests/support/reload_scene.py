"""A reloader over files in a folder; what runs is recorded, not real."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from device.config import loading
from device.config.diff import diff
from device.errors import ConfigError, Problem, UnreachableError
from device.lifecycle.sd_notify import Notifier
from device.reload import reloader, revert
from device.reload.decision import Decision, decide
from device.reload.files import ReloadFiles, Result
from device.reload.overrides import Overrides
from device.settings import Settings, load
from device.streams.plan import plan_streams
from device.telemetry.attributes import Attributes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    import pytest

    from device.config.layer import Layer

BASE = """
[room]
url = "ws://one"
name = "porch"
[credentials]
api_key = "key"
api_secret = "zq-a-secret-of-thirty-two-characters"
[camera]
source = "pattern"
{camera}
[microphone]
source = "tone"
{microphone}
"""


def written(path: Path, *, camera: str = "", microphone: str = "", room: str = "") -> Path:
    text = BASE.format(camera=camera, microphone=microphone)
    path.write_text(text.replace('name = "porch"', f'name = "porch"\n{room}'))
    return path


@dataclass
class Scene:
    """The folder, what was applied, and whether it works."""

    folder: Path
    applied: list[str] = field(default_factory=list)
    live: bool = True
    server_answers: bool = True
    live_after: Callable[[str], bool] = lambda _url: True
    live_with: Callable[[Settings], bool] = lambda _settings: True
    leaves: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    refuses: str = ""
    texts: list[str] = field(default_factory=list)
    loads: int = 0
    slow_s: float = 0.0

    def __post_init__(self) -> None:
        self.path = written(self.folder / "device.toml")
        self.files = ReloadFiles(self.folder)
        self.overrides = Overrides(self.folder / "overrides.toml")
        self.loader = SceneLoader(self)
        self.settings = self.loader.files({})
        self.reloader = reloader.Reloader(
            self,  # type: ignore[arg-type]
            loader=self.loader,  # type: ignore[arg-type]
            status=self,  # type: ignore[arg-type]
            notifier=Notifier(),
            files=self.files,
            overrides=self.overrides,
            probe=self,  # type: ignore[arg-type]
        )

    def decide(self, settings: Settings) -> Decision:
        plans = (plan_streams(each.config, epoch_us=0) for each in (self.settings, settings))
        return decide(diff(self.settings.config, settings.config), *plans)

    async def apply(
        self,
        settings: Settings,
        decision: Decision,
        *,
        applied: Callable[[frozenset[str]], Awaitable[None]] | None = None,
    ) -> None:
        if self.refuses:
            raise ConfigError(Problem("device.toml", self.refuses))
        self.settings = settings
        self.applied.append(decision.text)
        self.live = self.live_after(settings.config.room.url[0]) and self.live_with(settings)
        if applied is not None:
            await applied(decision.restart)
        if decision.rejoin:
            await self.leaves()

    def configuration(self, text: str) -> None:
        self.texts.append(text)

    async def first(self, _urls: object) -> None:
        if not self.server_answers:
            raise UnreachableError

    @property
    def works(self) -> bool:
        return self.live

    @property
    def result(self) -> Result:
        found = self.files.result()
        assert found is not None
        return found

    def play(self, act: Callable[[], Any], until: Callable[[], bool]) -> None:
        async def main() -> None:
            running = asyncio.create_task(self.reloader.run())
            act()
            async with asyncio.timeout(20):
                while not until():  # of what another task does  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            running.cancel()

        asyncio.run(main())

    def during(self, *acts: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run coroutines at once while the reloader runs; return their results, or errors."""

        async def main() -> list[Any]:
            self.reloader._wake = asyncio.Event()  # of this loop
            running = asyncio.create_task(self.reloader.run())
            try:
                async with asyncio.timeout(5):
                    return await asyncio.gather(*acts, return_exceptions=True)
            finally:
                running.cancel()

        return asyncio.run(main())


@dataclass
class SceneLoader:
    """Loads in this process."""

    scene: Scene

    def files(self, temporary: Mapping[str, Any]) -> Settings:
        self.scene.loads += 1
        time.sleep(self.scene.slow_s)
        variables = {"STATE_DIRECTORY": str(self.scene.folder)}
        found = loading.loaded(self.scene.path, variables, temporary=temporary)
        return replace(
            load(self.scene.path, Attributes()), config=found.config, layers=found.layers, warnings=found.warnings
        )

    def changed(self, settings: Settings, layers: Sequence[Layer]) -> Settings:
        found = loading.of_layers(layers)
        return replace(settings, config=found.config, layers=found.layers)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second be a hundredth."""
    monkeypatch.setattr(reloader, "_LOOK_S", 0.01)
    monkeypatch.setattr(reloader, "_EDIT_REVERT_S", 0.1)
    monkeypatch.setattr(revert, "LIVE_FOR_S", 0.03)
    monkeypatch.setattr(revert, "_PROBE_AGAIN_S", 0.02)
    monkeypatch.setattr("device.reload.files.REVERT_AFTER_S", (0.01, 3600))
