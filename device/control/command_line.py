"""The commands that ask a running daemon, as options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from device.arguments import Parser, whole
from device.control.limits import LEVELS, MAX_LOG_LINES

if TYPE_CHECKING:
    import argparse


ASSIGNMENT = "KEY=VALUE"


class _Add(Protocol):
    def __call__(self, name: str, command: object, text: str) -> Parser: ...


def add_control_commands(add: _Add) -> None:
    """Add each command by `add`, which takes its name, its function and a text, and returns its parser."""
    status = add("status", _status, "print how the running daemon is; exit code 0 live, 1 not live, 3 not running")
    status.add_argument("--json", action="store_true", help="print JSON")
    logs = add("logs", _logs, "print the newest log lines of the running daemon")
    logs.add_argument("--level", choices=LEVELS, default="debug", help="this level and above (default: debug)")
    logs.add_argument("--lines", type=whole(1, MAX_LOG_LINES), default=100, metavar="N", help="how many (default: 100)")
    logs.add_argument("--json", action="store_true", help="print JSON, a record in each line")
    change = add("set", _set, "change keys of the running configuration, such as camera.fps=15")
    change.add_argument(
        "assignments",
        nargs="+",
        metavar=ASSIGNMENT,
        help="values as in TOML, quotes may be left out; livekit-device.toml(5) lists the keys that can be set",
    )
    change.add_argument("--persist", action="store_true", help="keep the values when the daemon is started again")
    add("reset", _reset, "remove all changes by `set`, persisted or not")
    add("rejoin", _rejoin, "let the running daemon leave the room and join it again")


def _status(options: argparse.Namespace) -> int:
    from device.control import commands

    return commands.status(options.config, as_json=options.json)


def _logs(options: argparse.Namespace) -> int:
    from device.control import commands

    return commands.logs(level=options.level, lines=options.lines, as_json=options.json)


def _set(options: argparse.Namespace) -> int:
    from device.control import set_commands

    return set_commands.set_values(options.config, options.assignments, persist=options.persist)


def _reset(options: argparse.Namespace) -> int:
    from device.control import set_commands

    return set_commands.reset(options.config)


def _rejoin(_options: argparse.Namespace) -> int:
    from device.control import commands

    return commands.rejoin()
