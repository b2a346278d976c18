"""Executes this program again in the same process: the same process id, arguments and environment, fresh memory."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from device.errors import ExitCode, system_text
from device.lifecycle.leave import leave

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_VARIABLE = "LIVEKIT_DEVICE_HANDOVER"
_NAME = Path("/proc/self/comm")
_STDERR = 2
_MAX_TIMES, _MAX_NAMES, _MAX_NAME = 1 << 16, 16, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What the next execution has to know.

    times: how many executions in a row led to it
    muted: the streams that the room has muted, which stay muted
    temporary: changes of the configuration that are in no file, as nested tables
    at_s: when it began, by CLOCK_BOOTTIME
    name: the kernel's name of this process, which an interpreter that is executed by its own path loses
    """

    times: int
    muted: tuple[str, ...] = ()
    temporary: dict[str, Any] = field(default_factory=dict)
    at_s: float = field(default_factory=lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
    name: str = field(default_factory=lambda: _NAME.read_text().strip())


def taken_over(environment: MutableMapping[str, str] = os.environ) -> Handover | None:
    """Return what the execution before has left for this one, and remove it from the environment."""
    text = environment.pop(_VARIABLE, "")
    try:
        found = _checked(json.loads(text)) if text else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if found is not None:
        with contextlib.suppress(OSError):
            _NAME.write_text(found.name)
    return found


def execute_again(handover: Handover, *, stderr: int) -> NoReturn:
    """Execute this program again. `stderr` is where standard error led at the start.

    Blocked signals stay blocked, and those that are pending stay pending. If it cannot be executed, the process ends
    with the exit code with which the service manager starts it again.
    """
    # Without what only native libraries see.
    environment = {**os.environ, _VARIABLE: json.dumps(asdict(handover))}
    logging.shutdown()
    sys.stdout.flush()
    _close_at_execution()
    os.dup2(stderr, _STDERR)
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - this program
    except OSError as error:
        print(f"{sys.executable} cannot be executed again: {system_text(error)}", file=sys.stderr)  # noqa: T201
        leave(ExitCode.TEMPORARY)


def _close_at_execution() -> None:
    """Let no descriptor survive but the standard ones and those that a service manager passes (sd_listen_fds(3)).

    Python's own ones do not; some of native libraries would.
    """
    passed = os.environ.get("LISTEN_FDS", "") if os.environ.get("LISTEN_PID") == str(os.getpid()) else ""
    first = _STDERR + 1 + (int(passed) if passed.isdecimal() else 0)
    for each in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, no paths
        if int(each) >= first:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                os.set_inheritable(int(each), False)  # noqa: FBT003 - os's signature


def _checked(data: Any) -> Handover:
    """Return a handover; it is from an environment. Raises ValueError, TypeError or KeyError."""
    times, muted, at_s, name = data["times"], data["muted"], data["at_s"], data["name"]
    temporary = dict(data["temporary"])
    names = all(isinstance(each, str) and len(each) <= _MAX_NAME for each in (*muted, name))
    if type(times) is not int or not 0 <= times <= _MAX_TIMES or not names or len(muted) > _MAX_NAMES:
        raise ValueError
    return Handover(times=times, muted=tuple(muted), temporary=temporary, at_s=float(at_s), name=name)
