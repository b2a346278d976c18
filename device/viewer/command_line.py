"""The commands `viewer` and `viewer-token`, as options of the command line."""

from __future__ import annotations

import getpass
import os
import re
from typing import TYPE_CHECKING, Protocol

from device.arguments import Parser, address, duration, host_name, identity, identity_prefix

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_OPERATOR, _TALKER = "ops", "talk"


class _Add(Protocol):
    def __call__(self, name: str, command: object, text: str) -> Parser: ...


def add_viewer_commands(add: _Add) -> None:
    """Add each command by `add`, which takes its name, its function and a text, and returns its parser."""
    viewer = add("viewer", _viewer, "serve a page that shows the room")
    viewer.add_argument(
        "--bind",
        type=address,
        default=("127.0.0.1", 8080),
        metavar="HOST:PORT",
        help="address to serve on; port 0 takes a free one (default: 127.0.0.1:8080)",
    )
    viewer.add_argument(
        "--allow-host",
        type=host_name,
        action="append",
        default=[],
        metavar="NAME",
        help="serve the page under this name too, as behind a proxy; may be repeated",
    )
    viewer.add_argument(
        "--operator",
        type=identity,
        nargs="?",
        const=default_identity(),
        metavar="IDENTITY",
        help="serve the operator's page instead (with --talk too), which asks devices as IDENTITY (default: ops-USER)",
    )
    _add_talk(
        viewer, "the page can also talk through the devices' speakers, as participants NAME-* (default: talk-USER)"
    )
    token = add("viewer-token", _viewer_token, "print a viewer's token and the room's URL")
    token.add_argument(
        "--ttl",
        type=duration,
        default=None,
        metavar="TIME",
        help="how long it lasts: 30m, 6h, 7d (default: 6h)",
    )
    _add_talk(token, "it may publish a microphone too, as a participant NAME-* (default: talk-USER), but send no data")


def _add_talk(parser: Parser, text: str) -> None:
    parser.add_argument(
        "--talk",
        type=identity_prefix,
        nargs="?",
        const=default_identity(prefix=_TALKER),
        metavar="NAME",
        help=text,
    )


def _viewer(options: argparse.Namespace) -> int:
    from device.viewer import command

    host, port = options.bind
    return command.serve(
        options.config,
        host=host,
        port=port,
        allowed_hosts=options.allow_host,
        operator=options.operator,
        talk=options.talk,
    )


def _viewer_token(options: argparse.Namespace) -> int:
    from device.viewer import command

    return command.print_token(options.config, ttl=options.ttl, talk=options.talk)


def default_identity(environment: Mapping[str, str] = os.environ, *, prefix: str = _OPERATOR) -> str:
    """Return an identity from the name of the user who runs the command, also through sudo."""
    try:
        user = environment.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = ""
    plain = re.sub(r"[^a-z0-9_-]+", "-", user.lower()).strip("-")
    return f"{prefix}-{plain[:64] or 'user'}"
