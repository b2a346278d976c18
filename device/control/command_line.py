"""The commands that ask a running daemon, as options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from device.arguments import Parser, whole
from device.control.limits import LEVELS, MAX_LOG_LINES, QUALITIES, USUAL_QUALITY, WIDTHS

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
    picture = add("snapshot", _snapshot, "write a JPEG of a camera's newest picture, from the running daemon")
    picture.add_argument("file", metavar="FILE", help="where to write it; - is standard output")
    picture.add_argument("--stream", default="", metavar="NAME", help="a camera's name (default: the first camera)")
    picture.add_argument("--max-width", type=whole(*WIDTHS), default=0, metavar="N", help="no wider, in pixels")
    picture.add_argument(
        "--quality", type=whole(*QUALITIES), default=USUAL_QUALITY, metavar="Q", help="1 to 100 (default: 85)"
    )
    picture.add_argument(
        "--full", action="store_true", help="the sensor's full size, if possible; viewers may see a pause of a second"
    )
    play = add("play", _play, "let the running daemon play a sound of the configuration on its speaker")
    play.add_argument("name", metavar="NAME", help="a key of [sounds]")
    privacy = add("privacy", _privacy, "capture nothing, and show viewers a still picture, until it is turned off")
    privacy.add_argument("turn", choices=("on", "off"), help="on or off; it outlives a restart of the box")
    privacy.add_argument(
        "stream", nargs="?", default="", metavar="STREAM", help="a camera or microphone (default: all)"
    )
    privacy.add_argument("--local", action="store_true", help="only a command on this box can turn it off")


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


def _snapshot(options: argparse.Namespace) -> int:
    from device.control import snapshot_command
    from device.control.operations import GetSnapshot

    call = GetSnapshot(stream=options.stream, max_width=options.max_width, quality=options.quality, full=options.full)
    return snapshot_command.run(options.config, options.file, call)


def _play(options: argparse.Namespace) -> int:
    from device.control import commands

    return commands.play(options.config, options.name)


def _privacy(options: argparse.Namespace) -> int:
    from device.control import commands

    return commands.privacy(options.config, on=options.turn == "on", stream=options.stream, local=options.local)
