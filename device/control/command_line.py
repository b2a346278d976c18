"""The commands that ask a running daemon, as options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from device.arguments import Parser, whole
from device.control.limits import LEVELS, MAX_LOG_LINES

if TYPE_CHECKING:
    import argparse


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
    add("rejoin", _rejoin, "let the running daemon leave the room and join it again")


def _status(options: argparse.Namespace) -> int:
    from device.control import commands

    return commands.status(options.config, as_json=options.json)


def _logs(options: argparse.Namespace) -> int:
    from device.control import commands

    return commands.logs(level=options.level, lines=options.lines, as_json=options.json)


def _rejoin(_options: argparse.Namespace) -> int:
    from device.control import commands

    return commands.rejoin()
