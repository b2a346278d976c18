"""The sections of a report. Each returns its text, or raises an error, which does not stop the report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import stat
import sys
import tomllib
from typing import TYPE_CHECKING

import device
from device.config import loading
from device.config.places import PREFIX
from device.errors import ConfigError
from device.identity import board_model
from device.redaction import MARK
from device.report.bounded import SectionError, output_of
from device.report.secrets import files_beside, masked
from device.setup.service import UNIT
from device.setup.toml_edit import written
from device.telemetry import state_file

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGES = ("livekit", "aiohttp", "av", "numpy", "pillow", "pydantic", "pyjwt", "structlog", "picamera2", "pyaudio")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY")
_QUICK_S, _LIST_S, _CHECK_S = 10.0, 30.0, 120.0
_LOG_LINES = "300"
_MAX_BYTES = 64 << 10


def versions() -> str:
    lines = [
        f"livekit-device {device.__version__}",
        f"Python {platform.python_version()} ({sys.executable})",
        f"kernel {platform.release()} {platform.machine()}, pages of {os.sysconf('SC_PAGESIZE')} bytes",
        f"system {_system()}",
        f"board {board_model()}",
        f"user {os.geteuid()}",
    ]
    for name in _PACKAGES:
        try:
            lines.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name}: not installed")
    return "\n".join(lines)


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def board() -> str:
    """Return load, memory, disk, and the power supply state and temperature of a Raspberry Pi."""
    disk = shutil.disk_usage("/")
    lines = [
        f"load {', '.join(f'{each:.2f}' for each in os.getloadavg())} on {os.cpu_count()} cores",
        f"disk / {disk.free >> 20} MiB free of {disk.total >> 20} MiB",
    ]
    with open("/proc/meminfo") as file:  # noqa: PTH123 - a fixed path
        lines += [line.strip() for line in file if line.startswith(("MemTotal", "MemAvailable", "SwapFree"))]
    if tool := shutil.which("vcgencmd"):
        lines += [output_of(tool, what, within_s=_QUICK_S) for what in ("get_throttled", "measure_temp")]
    return "\n".join(lines)


def configuration(path: Path) -> str:
    """Return the values of all files without their comments, which may contain secrets."""
    try:
        found = loading.loaded(path)
        result = "it is valid"
        files = [layer.path for layer in found.layers if layer.path and layer.path != path]
    except ConfigError as error:
        result = f"it is invalid:\n{error}"
        files = files_beside(path)
    parts = [f"{path}: {result}", _values(path)]
    return "\n\n".join(filter(None, (*parts, *(f"{each}:\n\n{_values(each)}" for each in files))))


def _values(path: Path) -> str:
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            data = tomllib.loads(file.read(_MAX_BYTES).decode("utf-8-sig"))
    except OSError as error:
        raise SectionError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # neither TOML nor UTF-8
        return ""
    return written(masked(data))


def folder(path: Path) -> str:
    """Return names, owners, modes and sizes of the files in the configuration's folder."""
    lines = []
    for each in (path.parent, *sorted(path.parent.rglob("*"))[:200]):
        status = each.lstat()
        lines.append(f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid} {status.st_size:>7} {each}")
    return "\n".join(lines)


def environment() -> str:
    """Return the variables of this shell that change the configuration; the service has its own environment."""
    lines = []
    for name, value in sorted(os.environ.items()):
        if name.upper().startswith(f"{PREFIX}CREDENTIALS"):
            lines.append(f"{name}={MARK if value else ''}")
        elif name.upper().startswith(PREFIX) or name.upper() in _PROXIES:
            lines.append(f"{name}={value}")
    return "\n".join(lines) or "no variable of livekit-device, no proxy"


def devices() -> str:
    return _ourselves("devices", within_s=_LIST_S)


def service() -> str:
    show = (
        "ActiveState,SubState,Result,StatusText,NRestarts,ExecMainStatus,ActiveEnterTimestamp,FragmentPath,DropInPaths"
    )
    return output_of("systemctl", "show", UNIT, f"--property={show}", "--no-pager", within_s=_QUICK_S)


def state() -> str:
    found = state_file.read()
    return (
        "\n".join(f"{key}: {value}" for key, value in found.items()) or "no service is running, or it has no state file"
    )


def check(path: Path) -> str:
    """Test each step of a start, with the service's credentials if this user may read them."""
    credentials = path.parent / "credentials"
    more = {}
    if "CREDENTIALS_DIRECTORY" not in os.environ and os.access(credentials, os.R_OK | os.X_OK):
        more["CREDENTIALS_DIRECTORY"] = str(credentials)
    return _ourselves("check", "--config", str(path), within_s=_CHECK_S, **more)


def log() -> str:
    return output_of("journalctl", "-u", UNIT, "-n", _LOG_LINES, "--no-pager", "-o", "short-iso", within_s=_LIST_S)


def _ourselves(*arguments: str, within_s: float, **more: str) -> str:
    return output_of(sys.executable, "-P", "-m", "device", *arguments, within_s=within_s, environment=os.environ | more)
