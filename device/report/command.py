"""`livekit-device report`: write all sections into one file."""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from device.config import loading
from device.errors import DeviceError, ExitCode, system_text
from device.redaction import redacted
from device.report import sections
from device.report.bounded import SectionError, bounded
from device.report.secrets import learn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECRET_MODE = 0o600
_STANDARD_OUTPUT = "-"


def run(config: Path | None, output: str | None) -> int:
    """Write the report; return the exit code. Raises DeviceError if the file cannot be written."""
    path = loading.find(config)
    learn(path)
    now = datetime.datetime.now(datetime.UTC)
    if output == _STANDARD_OUTPUT:
        for text in _report(path, now):
            sys.stdout.write(text)
        sys.stdout.flush()
        return ExitCode.OK
    target = Path(output or f"livekit-device-report-{now:%Y-%m-%d-%H%M%S}.txt")
    try:
        # Only a new file: in a shared folder, an existing name may be another user's link.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _SECRET_MODE)
    except FileExistsError:
        raise DeviceError(f"{target} exists already; name another file with --output") from None
    except OSError as error:
        raise DeviceError(f"{target} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            os.fchmod(descriptor, _SECRET_MODE)
            _give_to_caller(descriptor)
            for text in _report(path, now):
                file.write(text)
    except OSError as error:
        raise DeviceError(f"{target} cannot be written: {error.strerror}") from None
    sys.stdout.write(
        f"{target}\nSecrets are masked. Read the file before you send it: it contains names, addresses and rooms.\n"
    )
    return ExitCode.OK


def _report(path: Path, now: datetime.datetime) -> Iterator[str]:
    yield f"livekit-device report of {now.isoformat(timespec='seconds')}\n"
    if os.geteuid() != 0:
        yield "Not run as root: log and credentials may be missing. Run `sudo livekit-device report` to include them.\n"
    for title, make in (
        ("versions", sections.versions),
        ("board", sections.board),
        ("configuration", partial(sections.configuration, path)),
        ("files", partial(sections.folder, path)),
        ("environment", sections.environment),
        ("devices", sections.devices),
        ("service", sections.service),
        ("state", sections.state),
        ("check", partial(sections.check, path)),
        ("log", sections.log),
    ):
        if sys.stderr.isatty():
            sys.stderr.write(f"{title} ...\n")
        yield f"\n== {title} ==\n{_text(make)}\n"


def _text(make: Callable[[], str]) -> str:
    """Return a section's text; if the section fails, the reason."""
    try:
        return bounded(make())
    except (SectionError, DeviceError) as error:
        return redacted(f"[not available: {error}]")
    except OSError as error:
        return f"[not available: {system_text(error)}]"
    except Exception as error:  # a bug; its text may contain secrets  # noqa: BLE001
        return f"[not available: an internal error ({type(error).__name__})]"


def _give_to_caller(descriptor: int) -> None:
    """Give the file to the user of sudo, which sends it."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and user.isdecimal() and group.isdecimal():
        with contextlib.suppress(OSError, OverflowError):
            os.fchown(descriptor, int(user), int(group))
