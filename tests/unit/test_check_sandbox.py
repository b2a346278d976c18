"""What the unit hides from its service, by the unit's own text; and how the check is run inside."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device.check import sandbox
from device.check.sandbox import MARK, Sandbox, SandboxError, run_inside
from device.check.unit_settings import hiding_folder, program, service_settings, surroundings, user
from tests.support.configs import config_of

if TYPE_CHECKING:
    from device.check.unit_settings import Settings

ROOT = Path(__file__).parents[2]
SHIPPED = service_settings((ROOT / "systemd/livekit-device.service").read_text())


def unit(*lines: str) -> Settings:
    return service_settings("\n".join(("[Service]", *lines)))


@pytest.mark.parametrize(
    ("path", "folder"),
    (
        ("/home/pi/film.mp4", "/home"),
        ("/home", "/home"),
        ("/root/token", "/root"),
        ("/run/user/1000/token", "/run/user"),
        ("/tmp/film.mp4", "/tmp"),
        ("/var/tmp/film.mp4", "/var/tmp"),
        ("/etc/livekit-device/credentials/token", "/etc/livekit-device/credentials"),
        ("/dev/shm/film.mp4", "/dev/shm"),
        ("/srv/../home/pi/film.mp4", "/home"),
        ("/var/lib/livekit-device/film.mp4", ""),
        ("/etc/livekit-device/token", ""),
        ("/homework/film.mp4", ""),
        ("/srv/home/film.mp4", ""),
    ),
)
def test_the_shipped_unit_hides(path: str, folder: str) -> None:
    assert hiding_folder(path, SHIPPED) == folder


@pytest.mark.parametrize(
    ("lines", "path", "folder"),
    (
        (("ProtectHome=no",), "/home/pi/film.mp4", ""),
        (("ProtectHome=yes", "ProtectHome=read-only"), "/home/pi/film.mp4", ""),
        (("ProtectHome=TRUE",), "/home/pi/film.mp4", "/home"),
        (("ProtectHome=tmpfs",), "/home/pi/film.mp4", "/home"),
        (("ProtectHome=tmpfs", "BindReadOnlyPaths=/home/pi"), "/home/pi/film.mp4", ""),
        (("ProtectHome=tmpfs", "BindReadOnlyPaths=/srv/films:/home/pi:norbind"), "/home/pi/film.mp4", ""),
        (("ProtectHome=tmpfs", "BindPaths=/home/pi"), "/home/other/film.mp4", "/home"),
        # systemd drops what is below an inaccessible folder.
        (("ProtectHome=yes", "BindReadOnlyPaths=/home/pi"), "/home/pi/film.mp4", "/home"),
        (("PrivateTmp=disconnected",), "/tmp/x", "/tmp"),
        (("PrivateTmp=yes", "BindReadOnlyPaths=/tmp/shared"), "/tmp/shared/x", ""),
        (("InaccessiblePaths=-/a +/b", 'InaccessiblePaths="/c d"'), "/b/x", "/b"),
        (("InaccessiblePaths=-/a +/b", 'InaccessiblePaths="/c d"'), "/c d/x", "/c d"),
        (("InaccessiblePaths=/a", "InaccessiblePaths="), "/a/x", ""),
        (("TemporaryFileSystem=/mnt:ro,mode=755",), "/mnt/x", "/mnt"),
        ((), "/home/pi/film.mp4", ""),
    ),
)
def test_settings_of_a_drop_in_count(lines: tuple[str, ...], path: str, folder: str) -> None:
    assert hiding_folder(path, unit(*lines)) == folder


def test_a_unit_is_read_as_systemd_reads_it() -> None:
    text = """\
# /usr/lib/systemd/system/livekit-device.service
[Unit]
Description=User=nobody
[Service]
ExecStart=-@/usr/bin/livekit-device livekit-device run
User = livekit-device
SystemCallFilter=@system-service \\
# a comment in between
  @mount

; another
[Install]
WantedBy=multi-user.target

# /etc/systemd/system/livekit-device.service.d/override.conf
[Service]
Environment="A=b c"
User=
"""
    settings = service_settings(text)
    assert settings == (
        ("ExecStart", "-@/usr/bin/livekit-device livekit-device run"),
        ("User", "livekit-device"),
        ("SystemCallFilter", "@system-service    @mount"),
        ("Environment", '"A=b c"'),
        ("User", ""),
    )
    assert program(settings) == "/usr/bin/livekit-device"
    assert user(settings) == "livekit-device"
    assert user(()) == "root"
    assert program(()) == ""


def test_each_setting_of_the_shipped_unit_is_passed_on_or_left_out_for_a_reason() -> None:
    passed = {each.partition("=")[0] for each in surroundings(SHIPPED)}
    left_out = {key for key, _ in SHIPPED} - passed
    assert left_out == {
        # how it starts, stops and is watched
        "Type",
        "NotifyAccess",
        "ExecStart",
        "WatchdogSec",
        "KillMode",
        "TimeoutStopSec",
        "Restart",
        "RestartSec",
        "RestartPreventExitStatus",
        "OOMPolicy",
        # removed with the unit that has it: the running service's would be gone
        "RuntimeDirectory",
    }
    assert {"User", "LoadCredential", "ProtectHome", "DeviceAllow", "SystemCallFilter", "LimitNOFILE"} <= passed
    assert "CapabilityBoundingSet=" in surroundings(SHIPPED)


def test_files_that_the_service_does_not_see_are_named_with_their_key() -> None:
    config = config_of(
        {
            "room": {"url": "wss://h"},
            "credentials": {"api_key": "k", "api_secret_file": "/etc/livekit-device/credentials/api_secret"},
            "camera": {"source": "file", "path": "/home/pi/film.mp4"},
            "microphone": {"source": "tone", "path": "/root/unused"},
        }
    )
    credentials, film = Sandbox(inside=True, settings=SHIPPED, user="livekit-device").hidden_files(config)
    assert credentials == (
        "credentials.api_secret_file: the service does not see /etc/livekit-device/credentials; remove the key: "
        "systemd passes the files in that folder"
    )
    assert film == "camera.path: the service does not see /home; put the file under /var/lib/livekit-device"
    assert Sandbox(inside=False, settings=(), user="root").hidden_files(config) == []


def test_the_note_says_what_the_place_means() -> None:
    inside = Sandbox(inside=True, settings=SHIPPED, user="livekit-device").note()
    assert inside == "this runs as livekit-device, in the sandbox of livekit-device.service"
    other = Sandbox(inside=False, settings=SHIPPED, user="pi").note()
    assert other.startswith("this runs as pi, outside the service's sandbox: the service may see less; as root")
    assert Sandbox(inside=False, settings=(), user="root").note().endswith("the service may see less")


def test_inside_the_settings_come_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, json.dumps([["ProtectHome", "yes"]]))
    place = sandbox.here()
    assert (place.inside, place.settings) == (True, (("ProtectHome", "yes"),))
    assert run_inside(place, None) is None


def test_without_systemd_it_is_run_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "_BOOTED", tmp_path / "missing")
    place = sandbox.here()
    assert (place.inside, place.settings) == (False, ())
    assert run_inside(place, None) is None


STAND_IN = """\
#!{python}
# In the place of systemd-run and systemctl: logs how it was started, and ends as STAND_IN demands.
import json, os, signal, sys, time
with open({log!r}, "a") as log:
    log.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
if sys.argv[0].endswith("systemd-run"):
    print("rows", flush=True)
    if os.environ["STAND_IN"] == "wait":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        os.kill(os.getppid(), signal.SIGINT)
        end = time.monotonic() + 30
        while time.monotonic() < end and "kill" not in open({log!r}).read():
            time.sleep(0.01)
        sys.exit(130)
    sys.exit(int(os.environ["STAND_IN"]))
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs that note how they are started in the place of systemd's; this host need not run it."""
    log = tmp_path / "started"
    for name in ("systemd-run", "systemctl"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(STAND_IN.format(python=sys.executable, log=str(log)))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return log


def commands(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


PLACE = Sandbox(inside=False, settings=SHIPPED, user="root")


@pytest.mark.parametrize("code", (0, 1, 78))
def test_the_exit_code_is_passed_through(
    started: Path, monkeypatch: pytest.MonkeyPatch, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN", str(code))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("DEVICE_CAMERA__FPS", "3")
    assert run_inside(PLACE, Path("device.toml")) == code
    out, err = capfd.readouterr()
    assert out == "rows\n"
    assert (
        err == "DEVICE_CAMERA__FPS is set in this shell but not in the service, and is not used; --no-sandbox uses it\n"
    )
    [[name, *arguments]] = commands(started)
    assert name == "systemd-run"
    assert {"--pipe", "--wait", "--collect", "--property=User=livekit-device", "--setenv=NO_COLOR=1"} <= {*arguments}
    assert "--property=LoadCredential=livekit:/etc/livekit-device/credentials/" in arguments
    assert not [each for each in arguments if "RuntimeDirectory" in each]
    absolute = str(Path("device.toml").absolute())
    assert arguments[arguments.index("--") + 1 :] == [program(SHIPPED), "check", "--config", absolute]
    [mark] = [each for each in arguments if each.startswith(f"--setenv={MARK}=")]
    inside = tuple((key, value) for key, value in json.loads(mark.partition(f"{MARK}=")[2]))
    assert hiding_folder("/home/pi/film.mp4", inside) == "/home"


def test_what_systemd_cannot_set_up_is_named(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "226")
    with pytest.raises(SandboxError, match=r"systemd could not run the check .*\(exit 226\): journalctl -u livekit-"):
        run_inside(PLACE, None)
    assert len(commands(started)) == 1


def test_ctrl_c_ends_what_runs_inside_first(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "wait")
    with pytest.raises(KeyboardInterrupt):
        run_inside(PLACE, None)
    (_, *_), kill = commands(started)
    assert kill[:5] == ["systemctl", "--no-pager", "kill", "--kill-whom=main", "--signal=SIGINT"]
    assert re.fullmatch(r"livekit-device-check-\d+\.service", kill[5])


def test_both_units_run_the_same_program() -> None:
    imports = service_settings((ROOT / "systemd/livekit-device-import.service").read_text())
    assert program(imports) == program(SHIPPED)
    assert dict(imports)["ExecStopPost"].count(program(SHIPPED)) == 1
