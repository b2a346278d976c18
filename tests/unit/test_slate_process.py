"""The slate and the process that draws it: begun, ended at any moment, and survived however it fails."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from device.streams import slate
from device.streams.slate import Slate
from tests.support.children import living_descendants

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from structlog.typing import EventDict

    from device.media.picture import AccessUnit

pytestmark = pytest.mark.usefixtures("no_orphans")

LIMIT_S = 60.0


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # of processes and logs, which wake nobody  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_the_real_process_draws_it() -> None:
    fed: list[AccessUnit] = []

    async def main() -> None:
        real = Slate("camera", title="Porch", width=640, height=480, deliver=fed.append)
        real.show("nothing came for 2 s")
        await _until(lambda: len(fed) >= 2)
        real.hide()

    with capture_logs() as lines:
        asyncio.run(main())
    assert len(fed[0].payload) > 1000
    assert fed[0].captured_at_us < fed[1].captured_at_us <= time.monotonic_ns() // 1000
    assert _failures(lines) == []


def stand_in(path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a script be the interpreter that draws."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_hiding_ends_a_process_that_still_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "python", "exec sleep 1000", monkeypatch)

    async def main() -> None:
        real = Slate("camera", title="Porch", width=640, height=480, deliver=lambda _: None)
        for _ in range(3):
            real.show("x")
            await _until(lambda: living_descendants(os.getpid()))
            real.show("y")
            assert len(living_descendants(os.getpid())) == 1
            real.hide()
            await _until(lambda: not living_descendants(os.getpid()))

    with capture_logs() as lines:
        asyncio.run(main())
    assert _failures(lines) == []


def test_hiding_at_any_moment_of_its_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "python", "exec sleep 1000", monkeypatch)

    async def main() -> None:
        real = Slate("camera", title="Porch", width=640, height=480, deliver=lambda _: None)
        for turns in range(40):
            real.show("x")
            for _ in range(turns):
                await asyncio.sleep(0)
            real.hide()
        await _until(lambda: not living_descendants(os.getpid()))

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(16))
def test_closing_at_any_moment_of_its_start_leaves_nothing(
    turns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both of its tasks are cancelled then, one of them twice: no process may stay that nobody waits for."""
    stand_in(tmp_path / "python", "exec sleep 1000", monkeypatch)

    async def main() -> None:
        real = Slate("camera", title="Porch", width=640, height=480, deliver=lambda _: None)
        real.show("x")
        for _ in range(turns):
            await asyncio.sleep(0)
        await real.aclose()

    asyncio.run(main())
    gc.collect()  # whoever was not waited for complains now
    assert living_descendants(os.getpid()) == set()


@pytest.mark.parametrize(
    ("script", "said"),
    (
        ("echo 'Traceback' >&2; echo 'MemoryError: no room' >&2; exit 1", "MemoryError: no room"),
        ("kill -9 $$", "could not be drawn"),
        ("echo this is no access unit", "could not be drawn"),
        ("true", "could not be drawn"),
        ("exec sleep 1000", "TimeoutError"),
    ),
)
def test_a_process_that_fails_is_a_log_line(
    script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "python", script, monkeypatch)
    monkeypatch.setattr(slate, "_DRAW_S", 1.0 if "sleep" in script else LIMIT_S)
    fed: list[AccessUnit] = []

    async def main(lines: list[EventDict]) -> None:
        real = Slate("camera", title="Porch", width=640, height=480, deliver=fed.append)
        real.show("x")
        await _until(lambda: _failures(lines))
        real.hide()
        await _until(lambda: not living_descendants(os.getpid()))

    with capture_logs() as lines:
        asyncio.run(main(lines))
    assert said in _failures(lines)[0]["why"]
    assert fed == []


def test_no_interpreter_at_all_is_a_log_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))

    async def main(lines: list[EventDict]) -> None:
        real = Slate("camera", title="Porch", width=640, height=480, deliver=lambda _: None)
        real.show("x")
        await _until(lambda: _failures(lines))
        real.hide()

    with capture_logs() as lines:
        asyncio.run(main(lines))
    assert "No such file" in _failures(lines)[0]["why"]


def _failures(lines: list[EventDict]) -> list[EventDict]:
    return [line for line in lines if line["event"] == "camera.slate_failed"]
