"""The command line: `livekit-device run`, `check`, `devices`, `viewer`, `viewer-token`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import device
from device.arguments import Parser, address, duration
from device.errors import ConfigError, DeviceError, ExitCode

if TYPE_CHECKING:
    import argparse

    from device.config.schema import Config
    from device.telemetry.attributes import Attributes
    from device.tokens.selection import ApiKey, Endpoint, TokenFile

_STDERR = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code (see `ExitCode`)."""
    _open_standard_streams()
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ConfigError as error:
        for problem in error.problems:
            _complain(str(problem))
        return error.exit_code
    except DeviceError as error:
        _complain(str(error))
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:  # Python would print it as it is  # noqa: BLE001
        _complain("".join(traceback.format_exception(error)))
        return ExitCode.INTERNAL


def _parser() -> Parser:
    parser = Parser(
        prog="livekit-device",
        description="Publish this box's camera and microphone into a LiveKit room.",
        epilog="Exit codes: 0 all is well, 1 it is not, 2 wrong usage, 70 internal failure, 75 start me again, "
        "78 wrong configuration.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {device.__version__}")
    common = Parser(add_help=False)
    common.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration (else $DEVICE_CONFIG, else /etc/livekit-device/device.toml)",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: object, text: str) -> Parser:
        sub = commands.add_parser(name, parents=[common], help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    add("run", _run, "publish until SIGTERM or Ctrl-C")
    devices = add("devices", _devices, "list cameras, microphones and encoders")
    devices.add_argument("--json", action="store_true", help="print JSON")
    imported = add("import-boot", _import_boot, "import livekit-device.toml from the boot partition (the service does)")
    imported.add_argument("--folder", type=Path, action="append", metavar="DIR", help="instead of the boot partition")
    check = add("check", _check, "try each step of a start and say what to do about what fails")
    check.add_argument("--no-sandbox", action="store_true", help="run as this user, not as the service does")
    viewer = add("viewer", _viewer, "serve a page that shows the room")
    viewer.add_argument(
        "--bind",
        type=address,
        default=("127.0.0.1", 8080),
        metavar="HOST:PORT",
        help="address to serve on; port 0 takes a free one (default: 127.0.0.1:8080)",
    )
    token = add("viewer-token", _viewer_token, "print a viewer's token and the room's URL")
    token.add_argument(
        "--ttl",
        type=duration,
        default=None,
        metavar="TIME",
        help="how long it lasts: 30m, 6h, 7d (default: 6h)",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from device.lifecycle import signals

    signals.block()
    from device import app as daemon
    from device import log  # --help answers without the SDK
    from device.config import loading as config_file
    from device.tokens.selection import log_warnings

    attributes = daemon.first_attributes()
    config, credentials = _load(options, attributes)
    context = log.configure(level=config.log.level, format=config.log.format)
    log.install_hooks()
    log_warnings(config_file.warnings(config_file.find(options.config), config), credentials)
    wanted = credentials.wanted
    context.bind(identity=wanted.identity or wanted.derived_identity, room=wanted.room)

    async def run() -> None:
        await daemon.run(config, credentials, attributes, context)
        # At once: a thread that waits for a name server would hold up the end by seconds.
        _leave(ExitCode.OK)

    try:
        asyncio.run(run())
    except Exception as error:  # the journal gets it, in the journal's own form  # noqa: BLE001
        log.crashed(error)
        _leave(_exit_code(error))
    return ExitCode.OK


def _exit_code(error: BaseException) -> ExitCode:
    """Return what the first error of ours, maybe in a group, says of how this process ends."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.exit_code if isinstance(error, DeviceError) else ExitCode.INTERNAL


def _check(options: argparse.Namespace) -> int:
    from device.check import sandbox

    place = sandbox.here()
    code = None if options.no_sandbox else sandbox.run_inside(place, options.config)
    if code is not None:
        return code
    from device.check import command

    return _leave(asyncio.run(command.run(options.config, place)))


def _import_boot(options: argparse.Namespace) -> int:
    from device.boot import importer
    from device.config import loading as config_file

    return importer.run(options.folder or (), config_file.find(options.config))


def _devices(options: argparse.Namespace) -> int:
    from device import devices

    return devices.run(as_json=options.json)


def _viewer(options: argparse.Namespace) -> int:
    from device import log
    from device.config import loading as config_file
    from device.viewer import access, command

    config, api_key = access.viewers_access(config_file.find(options.config))
    log.configure(level=config.log.level, format=config.log.format)
    host, port = options.bind
    return asyncio.run(command.run(config.room.url[0], api_key, host=host, port=port))


def _viewer_token(options: argparse.Namespace) -> int:
    from device.config import loading as config_file
    from device.tokens.minting import VIEWER_TTL
    from device.viewer.access import viewers_access
    from device.viewer.command import sighted

    config, api_key = viewers_access(config_file.find(options.config))
    at = asyncio.run(sighted(config.room.url[0]))
    if at is None:
        _complain("the server does not answer: the token is valid by this device's clock")
    print(api_key.viewer_token(ttl=options.ttl or VIEWER_TTL, at=at))
    print(config.room.url[0])
    return ExitCode.OK


def _load(options: argparse.Namespace, attributes: Attributes) -> tuple[Config, TokenFile | Endpoint | ApiKey]:
    from device.config import loading as config_file
    from device.tokens import directory

    path = config_file.find(options.config)
    config = config_file.load(path)
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return config, directory.selected(path, config, attributes, Path(given) if given else None)


def _leave(code: int) -> NoReturn:
    """End at once, without exit handlers: the SDK's native threads may panic in them after all is done and said."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


def _open_standard_streams() -> None:
    """Open /dev/null for closed streams: otherwise some socket would become standard error."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", _STDERR, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode))


def _complain(text: str) -> None:
    """Print an error; into the journal with its priority on each line, as sd-daemon(3) has it."""
    from device.log import is_journal
    from device.redaction import redacted

    prefix = "<3>" if is_journal(sys.stderr) else ""
    for line in redacted(text).splitlines():
        print(f"{prefix}{line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
