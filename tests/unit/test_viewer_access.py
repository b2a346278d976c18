"""`viewer` and `viewer-token` run by root: the service's credentials are read, then root's rights are gone for good."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from device import privileges
from device.privileges import SERVICE_USER, PrivilegesError, give_up_root

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SECRET = "zq7-a-secret-of-thirty-two-characters"
CONFIG = '[room]\nurl = "wss://room.example"\nname = "front-door"\n'

INSIDE = """
import json, os, pathlib, sys
from device import settings
from device.viewer import access
sys.path.insert(0, "")
folder = pathlib.Path(sys.argv[1])
settings.SERVICE_CREDENTIALS = folder / "credentials"
access.credentials_directory = lambda: settings.credentials_directory(folder / "credentials")
config, api_key = access.viewer_access(folder / "device.toml")

def attempt(action):
    try:
        action()
    except PermissionError:
        return "refused"
    return "done"

print(json.dumps({
    "ids": [*os.getresuid(), *os.getresgid(), *os.getgroups()],
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff"))],
    "file": attempt(lambda: open(folder / "credentials/api_secret").read()),
    "back": attempt(lambda: os.setuid(0)),
    "token": api_key.viewer_token().count("."),
    "home": os.environ["HOME"],
}))
"""

# The codec is loaded first: an interpreter in root's home is out of reach afterwards.
AS_NOBODY = "access.SERVICE_CREDENTIALS = folder / 'credentials'; 'h'.encode('idna'); os.setuid(65534)"


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """Return a folder like /etc/livekit-device, with credentials that are root's alone."""
    assert os.geteuid() == 0, "changing the user needs root: run the tests as root, as CI does"
    (tmp_path / "credentials").mkdir(mode=0o700)
    (tmp_path / "device.toml").write_text(CONFIG)
    for name, text in (("api_key", "APIk3y"), ("api_secret", SECRET)):
        (tmp_path / "credentials" / name).write_text(text)
        (tmp_path / "credentials" / name).chmod(0o600)
    return tmp_path


def run(device: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-c", INSIDE, str(device)),
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_root_reads_the_credentials_and_is_another_user_afterwards(device: Path) -> None:
    done = run(device)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    entry = next(pwd.getpwnam(name) for name in privileges.USERS if name in {each.pw_name for each in pwd.getpwall()})
    assert seen == {
        "ids": [entry.pw_uid] * 3 + [entry.pw_gid] * 3,
        "capabilities": ["0" * 16] * 2,
        "file": "refused",
        "back": "refused",
        "token": 2,
        "home": entry.pw_dir,
    }


def test_a_given_credentials_directory_comes_first(device: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run(device, CREDENTIALS_DIRECTORY=str(tmp_path / "empty"))
    assert "no token source is set" in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "words"),
    (
        ("api_secret", "", "api_secret: is empty"),
        ("api_key", "k=v x", "api_key: has more than one word"),
        ("api_secret", None, "api_key is set without its secret"),
    ),
)
def test_credentials_that_are_no_use_are_named_without_their_content(
    device: Path, name: str, text: str | None, words: str
) -> None:
    path = device / "credentials" / name
    path.write_text(text) if text is not None else path.unlink()
    done = run(device)
    assert done.returncode != 0
    assert words in done.stderr
    assert SECRET not in done.stderr


def test_another_user_than_root_is_sent_to_sudo(device: Path) -> None:
    with tempfile.TemporaryDirectory() as name:  # where others may look, unlike in pytest's own
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(device, folder / "device")
        (folder / "device").chmod(0o755)
        code = INSIDE.replace("config, api_key", f"{AS_NOBODY}\nconfig, api_key")
        done = subprocess.run(
            (sys.executable, "-c", code, str(folder / "device")),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert "no token source is set" in done.stderr
    assert "holds the service's credentials, for root only; run this with sudo" in done.stderr


def in_a_child(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_another_user_than_root_stays_who_it_is() -> None:
    code = "import os; from device.privileges import *; os.setuid(65534); print(repr(give_up_root()), os.getuid())"
    done = in_a_child(code)
    assert done.stdout == "'' 65534\n", done.stderr


def test_the_services_user_comes_before_nobody() -> None:
    assert privileges.USERS == (SERVICE_USER, "nobody")
    unit = (ROOT / "systemd/livekit-device.service").read_text()
    assert f"\nUser={SERVICE_USER}\n" in unit
    code = "from device.privileges import *; print(give_up_root(('no-such-user', 'daemon', 'nobody')))"
    assert in_a_child(code).stdout == "daemon\n"


def test_without_a_user_to_become_nothing_goes_on() -> None:
    with pytest.raises(PrivilegesError, match="there is no user no-such-user or root to switch to"):
        give_up_root(("no-such-user", "root"))
    assert os.geteuid() == 0


def test_what_the_kernel_refuses_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setgroups", refused)
    with pytest.raises(PrivilegesError, match=r"cannot switch to .*: Operation not permitted; run it as another user"):
        give_up_root()
    assert os.geteuid() == 0


def test_the_command_gives_up_root_before_it_serves(device: Path) -> None:
    with served(device) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        status = Path(f"/proc/{process.pid}/status").read_text()
    [uids] = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
    assert "0" not in uids
    assert process.returncode == 0


def test_a_page_token_has_the_least_rights_and_its_servers_time_comes_through_the_proxy(device: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(10)
        (device / "device.toml").write_text(f'{CONFIG}[network]\nproxy = "http://127.0.0.1:{proxy.getsockname()[1]}"\n')
        asked: list[str] = []
        thread = threading.Thread(target=lambda: asked.append(refused_connect(proxy)))
        thread.start()
        with served(device) as (_, url):
            request = urllib.request.Request(
                f"{url}token", data=b'{"secret": ""}', headers={"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=20) as response:
                answer = json.load(response)
        thread.join()
    assert asked == ["CONNECT room.example:443 HTTP/1.1"]
    claims = jwt.decode(answer["token"], SECRET, algorithms=["HS256"])
    assert claims["video"] == {
        "room": "front-door",
        "roomJoin": True,
        "canSubscribe": True,
        "canPublish": False,
        "canPublishData": False,
        "canUpdateOwnMetadata": False,
    }
    assert claims["exp"] - time.time() <= 301


def test_beyond_loopback_the_command_prints_a_link_with_a_key_and_its_code(device: Path) -> None:
    with served(device, bind="0.0.0.0:0") as (process, url):
        assert re.fullmatch(r"http://[\w.\[\]:]+:\d+/#[\w-]{22}", url)
        assert not url.startswith("http://127.0.0.1:")
        assert process.stdout
        process.terminate()
        said = process.stdout.read()
    assert sum("\N{FULL BLOCK}" in line for line in said.splitlines()) > 12
    assert "Everyone with this link can watch" in said


def refused_connect(proxy: socket.socket) -> str:
    """Refuse one connection; return the first line of its request."""
    connection, _ = proxy.accept()
    with connection:
        head = connection.recv(4096).decode()
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    return head.partition("\r\n")[0]


@contextmanager
def served(device: Path, *, bind: str = "127.0.0.1:0") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yield it and the link that it prints. It has ended afterwards."""
    arguments = ("viewer", "--config", str(device / "device.toml"), "--bind", bind)
    clean = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    environment = clean | {"CREDENTIALS_DIRECTORY": str(device / "credentials"), "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        (sys.executable, "-m", "device", *arguments), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()
