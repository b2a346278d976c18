"""Keys of the running daemon's configuration are changed: a viewer sees it, a kill keeps it, a reset undoes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import tomllib
from typing import TYPE_CHECKING

from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.watcher import Watcher, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.support.livekit_server import Server

_FIRST_S = 30.0


@contextlib.asynccontextmanager
async def live(watcher: Watcher, config: Path, variables: Mapping[str, str]) -> AsyncIterator[daemons.Daemon]:
    with daemons.running(config, variables) as daemon:
        await watcher.until_received(within_s=_FIRST_S)
        await asyncio.to_thread(daemon.event, "device.state", new="live")
        yield daemon


async def until_width(watcher: Watcher, width: int) -> None:
    await watcher.until(lambda: watcher.pictures and watcher.pictures[-1].width == width, within_s=20, what="the size")


async def asked(variables: Mapping[str, str], *arguments: str, code: int = 0) -> str:
    done = await asyncio.to_thread(command, *arguments, variables=variables)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_values_are_set_persist_over_a_kill_and_are_reset(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    for name in ("run", "state"):
        (tmp_path / name).mkdir()
    config.write_text("[camera]\nwidth = 640\nheight = 360\nfps = 15\n")
    variables = daemons.environment(
        server, room, RUNTIME_DIRECTORY=str(tmp_path / "run"), STATE_DIRECTORY=str(tmp_path / "state")
    )

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            async with live(watcher, config, variables) as daemon:
                bad = ("camera.height=241", "microphone.source=tone", "camera.fps=20")
                refused = await asked(variables, "set", "--persist", *bad, code=1)
                assert refused.startswith("microphone.source cannot be changed while the device runs; allowed: camera.")
                size = ("camera.width=320", "camera.height=240")
                done = await asked(variables, "set", "--config", str(config), "--persist", *size)
                assert done == "camera.width   worker restart\ncamera.height  worker restart\n"
                await until_width(watcher, 320)
                assert (await asked(variables, "set", "microphone.gain_db=-20")).startswith(
                    "microphone.gain_db  applied live\nuntil the daemon is started again"
                )
                found = json.loads(await asked(variables, "config", "--running", "--json"))
                assert (found["microphone.gain_db"]["value"], found["microphone.gain_db"]["layer"]) == (
                    -20,
                    "temporary",
                )
                assert (found["camera.width"]["layer"], found["camera.fps"]["layer"]) == ("remote", "file")
                assert found["credentials.api_secret"]["value"] == "********"
                file = tmp_path / "state" / "overrides.toml"
                assert tomllib.loads(file.read_text()) == {"camera": {"width": 320, "height": 240}}
                audit = [
                    line for line in daemon.lines if line["event"] == "control.call" and line["operation"] == "set"
                ]
                assert [("refused" in line, "result" in line) for line in audit] == [(True, False)] + [
                    (False, True)
                ] * 2
                daemon.stop(signal.SIGKILL)
            watcher.pictures.clear()
            async with live(watcher, config, variables):
                assert {each.width for each in watcher.pictures} == {320}
                found = json.loads(await asked(variables, "config", "--running", "--json"))
                assert found["microphone.gain_db"]["value"] == 0
                assert set((await asked(variables, "reset")).split("\n")) == {
                    "camera.height  worker restart",
                    "camera.width   worker restart",
                    "",
                }
                await until_width(watcher, 640)
                assert not file.exists()
                assert await asked(variables, "reset") == "nothing had been changed\n"

    asyncio.run(scenario())
