"""No output of the process contains a secret: log at debug level, attributes, slate, state file, `check`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import daemon as daemons
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

PASSWORDS = ("hunter2zq", "hun/ter2zq", "hun@ter2zq", "hun ter2zq", "h#un:ter2zq")
PIECE = "ter2zq"


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_camera_url_with_a_password_is_not_shown(
    server: Server, room: str, config: Path, tmp_path: Path, password: str
) -> None:
    """The URL is refused at the start, and no output contains it."""
    variables = daemons.environment(
        server,
        room,
        DEVICE_CAMERA__SOURCE="file",
        DEVICE_CAMERA__PATH=f"rtsp://admin:{password}@127.0.0.1:9/stream1",
        DEVICE_LOG__LEVEL="debug",
        RUNTIME_DIRECTORY=str(tmp_path),
    )
    with daemons.running(config, variables) as daemon:
        if daemon.process.wait(20) != 78:
            raise AssertionError("it neither runs nor complains")
    text = "\n".join(daemon.text)
    assert "is a URL" in text
    assert PIECE not in text
    done = subprocess.run(
        [sys.executable, "-m", "device", "check", "--config", config],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "is a URL" in done.stdout
    assert PIECE not in done.stdout + done.stderr


def test_a_file_name_like_a_url_with_a_password_is_not_shown(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    """Opening the file fails. Operators get the path, viewers only the kind of error."""
    folder = tmp_path / "admin:hunter2zq@192.0.2.7"
    state = tmp_path / "state"
    state.mkdir()
    variables = daemons.environment(
        server,
        room,
        DEVICE_CAMERA__SOURCE="file",
        DEVICE_CAMERA__PATH=f"admin:hunter2zq@192.0.2.7/{folder.name}",
        DEVICE_LOG__LEVEL="debug",
        RUNTIME_DIRECTORY=str(state),
    )

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:
                line = await asyncio.to_thread(daemon.event, "worker.restarting", worker="camera")
                assert "[redacted]@192.0.2.7" in line["why"]
                await watcher.until(
                    lambda: watcher.attributes("device").get("device.camera", "").startswith("stalled: "),
                    within_s=20,
                    what="the attribute",
                )
                public = [*watcher.attributes("device").values(), (state / "state.json").read_text()]
            assert not [each for each in (*daemon.text, *public) if PIECE in each]
            assert not [each for each in public if "192.0.2.7" in each]

    asyncio.run(scenario())


def test_a_token_that_the_server_refuses_is_not_shown(server: Server, room: str, config: Path) -> None:
    """The SDK's error and its log contain the complete token (401)."""
    variables = daemons.environment(
        server, room, DEVICE_CREDENTIALS__API_SECRET="zq-another-secret-" + 20 * "x", DEVICE_LOG__LEVEL="debug"
    )
    with daemons.running(config, variables) as daemon:
        daemon.until(lambda line: line["event"] == "room.waiting" and "401" in str(line["why"]), within_s=20)
    text = "\n".join(daemon.text)
    assert "sdk.log" in text
    assert "eyJ" not in text
    assert "zq-another-secret" not in text
