"""`livekit-device setup` on a real pseudo-terminal, against a real server, into a root folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.support.children import alive, living_descendants
from tests.support.conversation import CTRL_C, CTRL_D, conversation
from tests.support.installed import Installed, installed
from tests.support.token_endpoint import KEY, token_endpoint
from tests.support.tokens import token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.conversation import Conversation
    from tests.support.livekit_server import Server


@pytest.fixture
def box(tmp_path: Path, server: Server) -> Iterator[Installed]:
    with installed(tmp_path, server) as made:
        yield made


def configuration(box: Installed) -> dict[str, object]:
    return tomllib.loads((box.etc / "device.toml").read_text())


def run(box: Installed, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        box.command(*arguments),
        env=box.variables,
        input=typed,
        stdin=subprocess.DEVNULL if typed is None else None,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def choose(talk: Conversation, question: str, label: str) -> None:
    """Type the number of a choice by a part of its label."""
    talk.expect(question)
    talk.expect("Number [1]: ")
    shown = talk.text[talk.text.rindex(question) :]
    [number] = [line.split(")")[0].strip() for line in shown.splitlines() if label in line]
    talk.send(f"{number}\n")


def give_sources(talk: Conversation) -> None:
    choose(talk, "Which camera?", "test picture")
    talk.expect("delivers")
    choose(talk, "Which microphone?", "test tone")
    talk.expect("delivers")


def test_from_nothing_to_live(box: Installed, server: Server, room: str) -> None:
    with conversation(*box.command(), variables=box.variables) as talk:
        talk.answer("Server: ", server.url)
        talk.expect("answers")
        choose(talk, "Where does it come from?", "API key")
        talk.answer("Room: ", room)
        talk.answer("API key: ", server.api_key)
        talk.answer_unseen("API secret (not shown): ", server.api_secret)
        talk.expect("the server accepts it")
        talk.answer("Name that viewers see (may be empty): ", "Front door")
        talk.answer("Identity, unique in the room", "front-door")
        give_sources(talk)
        talk.expect("Written: ")
        talk.expect("live: everything is published")
        talk.expect("How to watch")
        assert talk.end() == 0, talk.text
    assert server.api_secret not in talk.text
    assert "\x1b" not in talk.text  # TERM=dumb
    assert configuration(box) == {
        "room": {"url": server.url, "name": room, "display_name": "Front door", "identity": "front-door"},
        "camera": {"source": "pattern"},
        "microphone": {"source": "tone"},
    }
    assert box.credentials() == {"api_key": f"{server.api_key}\n", "api_secret": f"{server.api_secret}\n"}
    modes = {path: mode & 0o7777 for path, (mode, _) in box.tree().items()}
    assert modes == {
        "etc/livekit-device": 0o755,
        "etc/livekit-device/credentials": 0o700,
        "etc/livekit-device/credentials/api_key": 0o600,
        "etc/livekit-device/credentials/api_secret": 0o600,
        "etc/livekit-device/device.toml": 0o644,
    }
    # A second run offers what is there: Enter throughout changes nothing, although the service has the devices.
    before = box.tree()
    with conversation(*box.command("--no-start"), variables=box.variables) as talk:
        talk.answer(f"Server [{server.url}]: ")
        talk.answer("Number [1]: ")
        talk.answer(f"Room [{room}]: ")
        talk.answer("API key [Enter keeps key and secret]: ")
        talk.answer("Name that viewers see (may be empty) [Front door]: ")
        talk.answer("Identity, unique in the room [Enter: front-door]: ")
        talk.answer("Number [1]: ")
        talk.expect("the running service (pid ")
        talk.answer("Number [1]: ")
        assert talk.end() == 0, talk.text
    assert box.tree() == before


def test_an_answer_that_fails_can_be_corrected_or_kept(box: Installed, server: Server, room: str) -> None:
    with conversation(*box.command("--no-start"), variables=box.variables) as talk:
        talk.answer("Server: ", "example.com")
        talk.expect("must begin with ws:// or wss://")
        talk.answer("Server: ", "ws://127.0.0.1:9")
        talk.answer("Keep this answer anyway", "no")
        talk.answer("Server [ws://127.0.0.1:9]: ", server.url)
        choose(talk, "Where does it come from?", "API key")
        talk.answer("Room: ")
        talk.answer("Room: ", room)
        talk.answer("API key: ", server.api_key)
        talk.answer_unseen("API secret (not shown): ", "zq-the-secret-of-another-project-0123456789")
        talk.expect("the server refuses it (HTTP 401)")
        talk.answer("Keep this answer anyway", "no")
        choose(talk, "Where does it come from?", "API key")
        talk.answer(f"Room [{room}]: ")
        talk.answer("API key [Enter repeats the last one]: ")
        talk.answer_unseen("API secret (not shown) [Enter keeps the present one]: ", server.api_secret)
        talk.expect("the server accepts it")
        talk.answer("Name that viewers see", 257 * "x")
        talk.answer("Identity")
        talk.expect("room.display_name: is too long")
        talk.answer("Name that viewers see", "Hall")
        talk.answer("Identity")
        choose(talk, "Which camera?", "no camera")
        choose(talk, "Which microphone?", "no microphone")
        talk.expect("there would be nothing to publish")
        talk.answer("Number [1]: ", "9")
        talk.expect("is not a number from 1 to ")
        talk.send("1\n")
        talk.expect("not present now")  # there is no microphone here
        assert talk.end() == 0, talk.text
    assert "zq-the-secret" not in talk.text
    assert configuration(box)["microphone"] == {"source": "auto"}


@pytest.mark.parametrize("moment", ("Server: ", "API secret (not shown): ", "Which camera?"))
@pytest.mark.parametrize("how", (CTRL_C, CTRL_D, "SIGTERM", "SIGHUP"))
def test_an_end_at_any_moment_leaves_the_old_state(
    box: Installed, server: Server, room: str, moment: str, how: str
) -> None:
    (box.etc / "device.toml").write_text("# mine\n[camera]\nfps = 15\n")
    before = box.tree()
    with conversation(*box.command(), variables=box.variables) as talk:
        for prompt, line in (
            ("Server: ", server.url),
            ("Number [1]: ", "1"),
            ("Room: ", room),
            ("API key: ", server.api_key),
            ("API secret (not shown): ", server.api_secret),
            ("Name that", ""),
            ("Identity", ""),
        ):
            talk.expect(prompt)
            if prompt == moment:
                break
            talk.send(f"{line}\n")
        else:
            talk.expect(moment)
            talk.expect("Number [1]: ")
        if how.startswith("SIG"):
            talk.process.send_signal(signal.Signals[how])
        else:
            talk.send(how)
        code = talk.end()
        echoes = talk.echoes()
    assert code == {CTRL_C: 130, CTRL_D: 1, "SIGTERM": 143, "SIGHUP": 129}[how], talk.text
    assert ("the input ended" if how == CTRL_D else "Nothing was changed.") in talk.text
    assert "Traceback" not in talk.text
    assert echoes
    assert box.tree() == before
    assert [path.name for path in (box.root / "etc").iterdir()] == ["livekit-device"]


def test_an_end_during_a_test_leaves_no_worker(box: Installed, server: Server, room: str) -> None:
    before = box.tree()
    secret = box.root / "secret"
    secret.write_text(server.api_secret)
    key = ("--api-key", server.api_key, "--api-secret-file", str(secret))
    options = ("--url", server.url, "--room", room, *key, "--name", "x", "--identity", "y", "--microphone", "off")
    with conversation(*box.command(*options), variables=box.variables) as talk:
        choose(talk, "Which camera?", "test picture")
        while not (workers := living_descendants(talk.process.pid)):
            assert talk.process.poll() is None
        talk.process.send_signal(signal.SIGTERM)
        assert talk.end() == 143, talk.text
    give_up_at = time.monotonic() + 10
    while [pid for pid in workers if alive(pid)]:  # a worker ends with its socket, and with its parent
        assert time.monotonic() < give_up_at
    assert "Traceback" not in talk.text
    assert box.tree() == before


def test_a_warning_is_printed_if_etc_is_lost_at_the_next_boot(box: Installed) -> None:
    mountinfo = box.root / "proc/1/mountinfo"
    mountinfo.parent.mkdir(parents=True)
    options = ("--yes", "--no-check", "--no-start", "--url", "ws://127.0.0.1:9", "--token-file", "-")
    for text, warned in (
        ("27 1 254:0 / / rw - ext4 /dev/mmcblk0p2 rw\n", False),
        ("27 1 0:24 / / rw - overlay overlay rw,lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work\n", True),
    ):
        mountinfo.write_text(text)
        done = run(box, *options, typed="a-token\n")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("Warning: " in done.stdout) == warned
        assert ("the configuration is lost at the" in done.stdout) == warned


def test_an_edit_that_happens_meanwhile_is_not_lost(box: Installed, server: Server, room: str) -> None:
    secret = box.root / "secret"
    secret.write_text(server.api_secret)
    key = ("--api-key", server.api_key, "--api-secret-file", str(secret))
    options = ("--url", server.url, "--room", room, *key, "--name", "x", "--camera", "pattern", "--microphone", "off")
    with conversation(*box.command(*options), variables=box.variables) as talk:
        talk.expect("Identity")
        (box.etc / "device.toml").write_text("[camera]\nfps = 15\n")
        talk.send("\n")
        assert talk.end() == 1, talk.text
    assert "has changed since setup began" in talk.text
    assert (box.etc / "device.toml").read_text() == "[camera]\nfps = 15\n"
    assert not box.credentials()


def test_a_page_is_served_until_ctrl_c(box: Installed, server: Server, room: str) -> None:
    (box.etc / "device.toml").write_text(f'[room]\nurl = "{server.url}"\nname = "{room}"\n')
    (box.etc / "credentials/api_key").write_text(server.api_key)
    (box.etc / "credentials/api_secret").write_text(server.api_secret)
    program = "import sys; from pathlib import Path; from device.setup.how_to_watch import serve_page;"
    program += "serve_page(Path(sys.argv[1]), '127.0.0.1:0'); print('it ended')"
    with conversation(sys.executable, "-c", program, str(box.etc), variables=box.variables) as talk:
        talk.expect("http://127.0.0.1:")
        talk.expect("\n")
        talk.send(CTRL_C)
        talk.expect("it ended")
        assert talk.end() == 0
    assert "Traceback" not in talk.text


def test_options_ask_nothing(box: Installed, server: Server, room: str) -> None:
    (box.etc / "device.toml").write_text("# mine\n[camera]\nfps = 15 # enough\n")
    wanted = ("--url", server.url, "--room", room, "--api-key", server.api_key, "--api-secret-file", "-", "--yes")
    done = run(box, *wanted, "--camera", "pattern", "--microphone", "off", typed=f"{server.api_secret}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "live: everything is published" in done.stdout
    assert server.api_secret not in done.stdout + done.stderr
    text = (box.etc / "device.toml").read_text()
    assert text.startswith("# mine\n[camera]\nfps = 15 # enough\n")
    assert configuration(box)["microphone"] == {"source": "off"}
    assert "restart livekit-device.service" in (box.root / "systemctl.log").read_text()


def test_all_options_that_yes_needs_are_reported_at_once(box: Installed) -> None:
    before = box.tree()
    done = run(box, "--yes")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for option in ("--url", "--room", "--api-key", "--api-secret-file", "--token-file", "--endpoint"):
        assert option in done.stderr
    assert box.tree() == before


def test_yes_refuses_an_answer_that_fails_its_test_except_with_no_check(
    box: Installed, server: Server, room: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("zq-the-secret-of-another-project-0123456789\n")
    key = ("--api-key", server.api_key, "--api-secret-file", str(secret))
    sources = ("--camera", "pattern", "--microphone", "off", "--yes", "--no-start")
    wanted = ("--url", server.url, "--room", room, *key, *sources)
    before = box.tree()
    done = run(box, *wanted)
    assert done.returncode == 1
    assert "HTTP 401" in done.stdout
    assert "--no-check" in done.stderr
    assert box.tree() == before
    done = run(box, *wanted, "--no-check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert box.credentials()["api_secret"] == secret.read_text()
    assert "zq-the" not in done.stdout + done.stderr


def test_each_token_source_replaces_the_one_before(box: Installed, server: Server, room: str, tmp_path: Path) -> None:
    ready = token(server, room, identity="front-door", publish=True)
    (tmp_path / "token").write_text(ready)
    (tmp_path / "headers").write_text(f"X-Api-Key: {KEY}\n")
    sources = ("--camera", "pattern", "--microphone", "off", "--yes", "--no-start")
    done = run(box, "--url", server.url, "--token-file", str(tmp_path / "token"), *sources)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is for this machine only" in done.stdout
    assert box.credentials() == {"token": f"{ready}\n"}

    async def by_endpoint() -> subprocess.CompletedProcess[str]:
        async with token_endpoint(server) as endpoint:
            headers = ("--endpoint", endpoint.url, "--endpoint-headers-file", str(tmp_path / "headers"))
            return await asyncio.to_thread(run, box, *headers, "--room", room, *sources)

    done = asyncio.run(by_endpoint())
    assert done.returncode == 0, done.stdout + done.stderr
    assert box.credentials() == {"endpoint_headers": f"X-Api-Key: {KEY}\n"}
    assert KEY not in done.stdout + done.stderr
    secret = tmp_path / "secret"
    secret.write_text(server.api_secret)
    done = run(box, "--api-key", server.api_key, "--api-secret-file", str(secret), *sources)
    assert done.returncode == 0, done.stdout + done.stderr
    assert box.credentials() == {"api_key": f"{server.api_key}\n", "api_secret": f"{server.api_secret}\n"}
    assert not tomllib.loads((box.etc / "device.toml").read_text())["credentials"]["endpoint"]


def test_a_token_and_an_endpoint_by_hand(box: Installed, server: Server, room: str) -> None:
    ready = token(server, room, identity="front-door", publish=True)
    sources = ("--camera", "pattern", "--microphone", "off", "--no-start", "--name", "x")
    with conversation(*box.command("--url", server.url, *sources), variables=box.variables) as talk:
        choose(talk, "Where does it come from?", "a ready token")
        talk.answer_unseen("Token (not shown): ", "no token at all")
        talk.expect("has more than one word")
        talk.answer("Keep this answer anyway", "no")
        choose(talk, "Where does it come from?", "a ready token")
        talk.answer_unseen("Token (not shown): ", ready)
        talk.expect("the server accepts it")
        assert talk.end() == 0, talk.text
    assert ready not in talk.text
    assert box.credentials() == {"token": f"{ready}\n"}

    def by_endpoint(url: str) -> Conversation:
        with conversation(*box.command(*sources), variables=box.variables) as talk:
            talk.answer("Server [")
            choose(talk, "Where does it come from?", "a token endpoint")
            talk.answer("Room (empty: the endpoint decides): ", room)
            talk.answer("Endpoint: ", "example.com/token")
            talk.answer("Endpoint: ", url)
            talk.answer("(empty: no more): ", "X-Api-Key")
            talk.answer_unseen("Value of X-Api-Key (not shown): ", KEY)
            talk.answer("(empty: no more): ")
            talk.expect("the server accepts it")
            talk.answer("Identity")
            assert talk.end() == 0, talk.text
        return talk

    async def scenario() -> Conversation:
        async with token_endpoint(server) as endpoint:
            return await asyncio.to_thread(by_endpoint, endpoint.url)

    assert KEY not in asyncio.run(scenario()).text
    assert box.credentials() == {"endpoint_headers": f"X-Api-Key: {KEY}\n"}


def test_a_service_that_does_not_get_live_is_explained(box: Installed, server: Server, room: str) -> None:
    (box.root / "bin/systemctl").write_text("#!/bin/sh\n[ $1 != restart ] || { echo no such luck; exit 1; }\n")
    (box.root / "daemon.log").write_text("the last words of the service\n")
    secret = box.root / "secret"
    secret.write_text(server.api_secret)
    key = ("--api-key", server.api_key, "--api-secret-file", str(secret))
    done = run(box, "--url", server.url, "--room", room, *key, "--camera", "pattern", "--microphone", "off", "--yes")
    assert done.returncode == 1
    assert "The service does not start: no such luck" in done.stdout
    assert "the last words of the service" in done.stdout


def test_a_user_without_write_permission_gets_a_hint_to_sudo(box: Installed) -> None:
    for folder in (box.root / "etc", box.etc):
        folder.chmod(0o555)
    # Root without the capabilities that let it write everywhere.
    without_override = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*without_override, *box.command("--yes")],
        env=box.variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for folder in (box.root / "etc", box.etc):
        folder.chmod(0o755)
    assert done.returncode == 1
    assert "sudo livekit-device setup" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_end_of_the_input_prints_no_traceback(box: Installed) -> None:
    before = box.tree()
    done = run(box, typed="")
    assert done.returncode == 1
    assert "the input ended before all questions were answered" in done.stderr
    assert "Traceback" not in done.stderr
    assert box.tree() == before


def test_a_mistake_in_a_key_without_a_question_is_reported(box: Installed) -> None:
    (box.etc / "device.toml").write_text("[camera]\nfps = 0\n")
    done = run(box, typed="")
    assert done.returncode == 78
    assert "camera.fps: is too small" in done.stderr
