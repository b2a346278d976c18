"""What can be asked of a running daemon by the commands of its box, on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.watcher import watching

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.livekit_server import Server

_FIRST_S = 30.0


def call(folder: Path, operation: str, **arguments: object) -> Any:
    """Make one call of an operation that has no command."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(folder / "control"))
        connection.sendall(json.dumps({"operation": operation, "arguments": arguments}).encode() + b"\n")
        return json.loads(connection.makefile("rb").readline())


def until_measured(folder: Path) -> None:
    """Wait until the first second of picture and sound has been measured."""
    give_up_at = time.monotonic() + 10
    while not all(
        each["bitrate_bps"] and (each["kind"] == "microphone" or each["width"])
        for each in call(folder, "status")["result"]["streams"].values()
    ):
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def the_status_is_shown(variables: Mapping[str, str], config: Path, room: str, pid: int) -> None:
    shown = command("status", "--json", variables=variables)
    assert shown.returncode == 0, shown.stderr
    status = json.loads(shown.stdout)
    assert (status["state"], status["identity"], status["pid"]) == ("live", "device", pid)
    assert status["room"]["name"] == room
    assert status["speaker"] is None
    camera = status["streams"]["camera"]
    assert (camera["state"], camera["publication"], camera["width"]) == ("live", "published", 1280)
    assert variables["DEVICE_CREDENTIALS__API_SECRET"] not in shown.stdout

    text = command("status", "--config", config, variables=variables)
    assert text.returncode == 0, text.stderr
    assert text.stdout.startswith("state        live\n")
    other = command("status", "--config", f"{config}.other", variables=variables)
    assert other.returncode == 3
    assert str(config) in other.stderr


LAMP = """
[commands.lamp]
run = ["/bin/sh", "-c", 'echo "lamp $0"; env | grep -c "DEVICE_\\|CREDENTIALS"; exit 3', "{state}"]
arguments = { state = ["on", "off"] }
"""


def a_command_is_run(variables: Mapping[str, str], runtime: Path) -> None:
    done = command("run", "lamp", "state=on", variables=variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, "lamp on\n0\n", "lamp: exit code 3\n")
    result = call(runtime, "run", name="lamp", arguments={"state": "off"})["result"]
    assert (result["name"], result["exit_code"], result["output"]) == ("lamp", 3, "lamp off\n0\n")
    other = command("run", "lamp", "state=$(reboot)", variables=variables)
    assert (other.returncode, other.stdout) == (1, "")
    assert other.stderr == 'state of lamp cannot be "$(reboot)"; allowed: on, off\n'
    assert "there are: lamp" in command("run", "light", variables=variables).stderr


def test_a_running_device_is_asked_and_told(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    variables = daemons.environment(server, room, RUNTIME_DIRECTORY=str(runtime))
    config.write_text(config.read_text() + LAMP)

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:
                await watcher.until_received(within_s=_FIRST_S)
                await asyncio.to_thread(daemon.event, "device.state", new="live")
                await asyncio.to_thread(until_measured, runtime)

                await asyncio.to_thread(the_status_is_shown, variables, config, room, daemon.pid)
                # Without [control] the device may not answer anybody in the room.
                assert not watcher.room.remote_participants["device"].permissions.can_publish_data

                mark = len(daemon.lines)
                assert await asyncio.to_thread(call, runtime, "restart", stream="camera") == {
                    "result": {"text": "camera is restarted"}
                }
                why = "an operator asked for it"
                await asyncio.to_thread(daemon.event, "worker.restarting", worker="camera", why=why, since=mark)
                await asyncio.to_thread(daemon.event, "device.state", new="live", since=mark)
                refused = await asyncio.to_thread(call, runtime, "key_frame", stream="microphone")
                assert refused == {"error": "microphone is no camera"}
                assert "result" in await asyncio.to_thread(call, runtime, "key_frame", stream="camera")
                missing = await asyncio.to_thread(call, runtime, "restart", stream="garden")
                assert missing == {"error": "there is no stream of this name; there are: camera, microphone"}

                await asyncio.to_thread(a_command_is_run, variables, runtime)

                mark = len(daemon.lines)
                rejoined = await asyncio.to_thread(command, "rejoin", variables=variables)
                assert rejoined.returncode == 0, rejoined.stderr
                await asyncio.to_thread(daemon.event, "device.state", new="live", since=mark)
                again = json.loads((await asyncio.to_thread(command, "status", "--json", variables=variables)).stdout)
                assert "an operator asked for it" in again["room"]["last_disconnect"]

                logs = await asyncio.to_thread(command, "logs", "--json", "--lines", "300", variables=variables)
                records = [json.loads(line) for line in logs.stdout.splitlines()]
                audit = [each for each in records if each["event"] == "control.call"]
                assert {"restart", "key_frame", "run", "rejoin"} <= {each["operation"] for each in audit}
                runs = [each for each in audit if each["operation"] == "run"]
                assert [each.get("refused", "")[:13] for each in runs] == ["", "", "state of lamp", "there is no c"]
                assert all("'lamp'" in each["result"] and "lamp o" not in str(each) for each in runs[:2])
                assert all(each["caller"].startswith(f"uid {os.getuid()}, pid ") for each in audit)
                assert server.api_secret not in logs.stdout

                assert await asyncio.to_thread(call, runtime, "reload") == {
                    "result": {"text": "the configuration is loaded again; status has the result"}
                }
                await asyncio.to_thread(daemon.stop)
        ended = await asyncio.to_thread(command, "status", variables=variables)
        assert ended.returncode == 3
        assert ended.stderr == "livekit-device is not running: nothing listens on its control socket\n"

    asyncio.run(scenario())
