"""`livekit-device fleet` as options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from device.arguments import Parser, seconds

if TYPE_CHECKING:
    import argparse

_EVERY_S, _LEAST_S, _MOST_S = 5.0, 1, 3600


class _Add(Protocol):
    def __call__(self, name: str, command: object, text: str) -> Parser: ...


def add_fleet_command(add: _Add) -> None:
    """Add the command by `add`, which takes its name, its function and a text, and returns its parser."""
    fleet = add("fleet", _fleet, "list the devices in the server's rooms; exit code 0 if all of them are live, else 1")
    fleet.add_argument(
        "--room", default="*", metavar="PATTERN", help="rooms whose names match, such as 'shop-*' (default: all rooms)"
    )
    fleet.add_argument(
        "--watch",
        nargs="?",
        type=seconds(_LEAST_S, _MOST_S),
        const=_EVERY_S,
        default=None,
        metavar="SECONDS",
        help=f"print them again every so many seconds (default: {_EVERY_S:g}), until Ctrl-C",
    )
    fleet.add_argument("--json", action="store_true", help="print JSON; with --watch an object in each line")


def _fleet(options: argparse.Namespace) -> int:
    from device.fleet import command

    return command.run(options.config, pattern=options.room, every_s=options.watch, as_json=options.json)
