"""Runs a check inside the service's sandbox, by systemd-run with the settings of the unit, or outside of it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from device.check.unit_settings import HIDING, Settings, hiding_folder, program, service_settings, surroundings, user
from device.config.places import PREFIX
from device.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.config.effective import Config

UNIT = "livekit-device.service"
STATE_FOLDER = "/var/lib/livekit-device"
CREDENTIALS = "/etc/livekit-device/credentials"
MARK = "LIVEKIT_DEVICE_SANDBOX"  # set for the process inside; contains the settings that hide paths
_BOOTED = Path("/run/systemd/system")  # sd_booted(3)
_ASK_S, _END_S, _MOST_S = 10.0, 5.0, 600
_PASSED = ("TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE")
_SYSTEMD_EXIT = 200  # systemd.exec(5): codes from 200 mean that systemd failed before it started the program


class SandboxError(DeviceError):
    """systemd could not run the check with the settings of the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Where this process runs, and the settings of the service's unit, which are empty if there is no unit."""

    inside: bool
    settings: Settings
    user: str

    def note(self) -> str:
        """Return where the check runs, and what that means for the result."""
        if self.inside:
            return f"this runs as {self.user}, in the sandbox of {UNIT}"
        text = f"this runs as {self.user}, outside the service's sandbox: the service may see less"
        return f"{text}; as root `check` runs inside" if self.settings and self.user != "root" else text

    def hidden(self, path: str | Path) -> str:
        """Return that the service does not see a path, and what to do; empty if the path is visible."""
        folder = hiding_folder(str(path), self.settings)
        if folder == CREDENTIALS:
            return f"the service does not see {folder}; remove the key: systemd passes the files in that folder"
        return f"the service does not see {folder}; put the file under {STATE_FOLDER}" if folder else ""

    def hidden_files(self, config: Config) -> list[str]:
        """Return a text for each file of the configuration that the service does not see."""
        paths = {
            "credentials.token_file": config.credentials.token_file,
            "credentials.endpoint_headers_file": config.credentials.endpoint_headers_file,
            "credentials.api_secret_file": config.credentials.api_secret_file,
            "network.proxy_file": config.network.proxy_file,
            "network.ca_file": config.network.ca_file,
        } | {f"{each.key}.path": each.table.path for each in config.streams if each.table.source == "file"}
        return [f"{key}: {text}" for key, path in paths.items() if path and (text := self.hidden(path))]


def here() -> Sandbox:
    """Return where this process runs."""
    name = _user_name(os.geteuid())
    if mark := os.environ.get(MARK):
        return Sandbox(inside=True, settings=tuple((key, value) for key, value in json.loads(mark)), user=name)
    return Sandbox(inside=False, settings=_unit_settings(), user=name)


def run_inside(place: Sandbox, config: Path | None, arguments: Sequence[str] = ("check",)) -> int | None:
    """Run the command with these arguments once more, inside; return its exit code. None: this process has to run it.

    Raises SandboxError if systemd cannot. Ctrl-C and SIGTERM end the process inside, too.
    """
    if place.inside or os.geteuid() != 0 or not place.settings or not program(place.settings):
        return None
    for name in sorted(each for each in os.environ if each.upper().startswith(PREFIX)):
        sys.stderr.write(f"{name} is set in this shell but not in the service, and is not used; --no-sandbox uses it\n")
    unit = f"livekit-device-check-{os.getpid()}.service"
    named = ("--config", str(config.absolute())) if config else ()
    code = _attached(_command(place.settings, unit, (*arguments, *named)), unit)
    if code >= _SYSTEMD_EXIT:
        raise SandboxError(
            f"systemd could not run the check as {UNIT} (exit {code}): journalctl -u {unit}; "
            "--no-sandbox runs it outside"
        )
    return code


def _command(settings: Settings, unit: str, arguments: Sequence[str]) -> list[str]:
    mark = json.dumps([each for each in settings if each[0] in HIDING])
    environment = {MARK: mark} | {name: os.environ[name] for name in _PASSED if name in os.environ}
    return [
        *("systemd-run", "--pipe", "--wait", "--collect", "--quiet", f"--unit={unit}"),
        f"--description=livekit-device {arguments[0]}, as {user(settings)}",
        *(f"--property={each}" for each in surroundings(settings)),
        *("--property=KillMode=mixed", f"--property=TimeoutStopSec={_END_S:g}", f"--property=RuntimeMaxSec={_MOST_S}"),
        *(f"--setenv={name}={value}" for name, value in environment.items()),
        *("--", program(settings), *arguments),
    ]


def _attached(command: Sequence[str], unit: str) -> int:
    """Run the command on our standard streams until it ends; a signal to this process ends it first."""

    def end(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        # In a session of its own: after a Ctrl-C, systemd-run would end without its unit.
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as process:  # noqa: S603
            try:
                return process.wait()
            except (KeyboardInterrupt, SystemExit):
                _end(process, unit)
                raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: subprocess.Popen[bytes], unit: str) -> None:
    _systemctl("kill", "--kill-whom=main", "--signal=SIGINT", unit)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        _systemctl("stop", unit)
        process.terminate()


def _unit_settings() -> Settings:
    if not _BOOTED.is_dir() or not shutil.which("systemd-run"):
        return ()
    if _systemctl("show", "--property=LoadState", "--value", UNIT).strip() != "loaded":
        return ()
    return service_settings(_systemctl("cat", UNIT))


def _systemctl(*arguments: str) -> str:
    try:
        command = ("systemctl", "--no-pager", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ASK_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
