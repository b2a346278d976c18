"""Files in the runtime directory between `livekit-device reload` and the daemon: a request, and what became of it."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import stat
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from device.printable import printable
from device.redaction import redacted
from device.unit_directories import own_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REVERT_AFTER_S = (5, 3600)
_REQUEST, _RESULT = "reload-request.json", "reload-result.json"
_MAX_BYTES = 64 << 10
_MAX_TEXT, _MAX_PROBLEMS = 1000, 50
_VALID_S = 120.0
_READABLE = 0o644  # neither holds a secret


class Outcome(enum.Enum):
    """What became of a reload."""

    UNCHANGED = "unchanged"
    APPLIED = "applied"
    REFUSED = "refused"
    RESTARTS = "restarts"  # the process ends, and the service manager starts it again
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a reload. `number` differs for each; `final` is False while it may still be reverted."""

    number: str
    outcome: str
    text: str
    problems: tuple[str, ...] = ()
    final: bool = True


class ReloadFiles:
    """The two files in one folder; without a folder there is no request, and nothing is written."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> ReloadFiles:
        return cls(own_runtime(environment))

    def ask(self, *, revert_after_s: float) -> None:
        """Let the next reload be reverted if the device is not live again in time. Raises OSError."""
        self._write(_REQUEST, {"revert_after_s": revert_after_s, "at_s": time.monotonic()})

    def take_request(self) -> float | None:
        """Remove the request; return the seconds after which the reload is reverted, None for never.

        The folder belongs to the service's user, so the file may be anything.
        """
        value = self._read(_REQUEST)
        self.withdraw()
        try:
            after_s, at_s = float(value["revert_after_s"]), float(value["at_s"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        least_s, most_s = REVERT_AFTER_S
        recent = 0 <= time.monotonic() - at_s <= _VALID_S
        return after_s if recent and least_s <= after_s <= most_s else None

    def withdraw(self) -> None:
        """Remove the request, if there is one."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                (self._folder / _REQUEST).unlink()

    def report(self, result: Result) -> None:
        """Write what became of a reload; a full disk does not stop publishing."""
        with contextlib.suppress(OSError):
            self._write(_RESULT, asdict(result))

    def result(self) -> Result | None:
        """Return what became of the last reload, if there was one."""
        value = self._read(_RESULT)
        problems = value.get("problems")
        if not all(isinstance(value.get(name), str) for name in ("number", "outcome", "text")):
            return None
        return Result(
            number=_printable(value["number"]),
            outcome=_printable(value["outcome"]),
            text=_printable(value["text"]),
            problems=tuple(map(_printable, problems[:_MAX_PROBLEMS])) if isinstance(problems, list) else (),
            final=value.get("final") is not False,
        )

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        if self._folder is None:
            return
        fresh = self._folder / f".{name}.{os.getpid()}"
        # Exclusive, because root writes into a folder of another user: no link is followed.
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _READABLE)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, _READABLE)
            json.dump(value, file)
        fresh.replace(self._folder / name)

    def _read(self, name: str) -> dict[str, Any]:
        if self._folder is None:
            return {}
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return {}
                value = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


def _printable(text: object) -> str:
    return printable(redacted(str(text))[:_MAX_TEXT])
