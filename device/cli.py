"""The command line: `livekit-device run`, `setup`, `check`, `config`, `reload`, `devices`, `viewer` and more."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import device
from device.arguments import Parser, seconds
from device.config.places import is_set_up
from device.errors import ConfigError, DeviceError, ExitCode, NotRunningError

if TYPE_CHECKING:
    import argparse

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
        return error.exit_code if isinstance(error, NotRunningError) else ExitCode.FAILED
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
        epilog="Exit codes: 0 all is well, 1 it is not, 2 wrong usage, 3 not running, 70 internal failure, "
        "75 start me again, 78 wrong configuration.",
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

    run = add("run", _run, "publish until SIGTERM or Ctrl-C; with a NAME, let the running daemon run that command")
    run.add_argument("name", nargs="?", metavar="NAME", help="a command of the configuration, [commands.NAME]")
    run.add_argument("arguments", nargs="*", metavar="ARGUMENT=VALUE", help="its arguments, such as state=on")
    devices = add("devices", _devices, "list cameras, microphones, speakers and encoders")
    devices.add_argument("--json", action="store_true", help="print JSON")
    imported = add("import-boot", _import_boot, "import livekit-device.toml from the boot partition (the service does)")
    imported.add_argument("--folder", type=Path, action="append", metavar="DIR", help="instead of the boot partition")
    check = add("check", _check, "try each step of a start and say what to do about what fails")
    check.add_argument("--no-sandbox", action="store_true", help="run as this user, not as the service does")
    from device.control.command_line import add_control_commands  # light: --help answers without the SDK
    from device.fleet.command_line import add_fleet_command
    from device.reload.files import REVERT_AFTER_S
    from device.setup.options import add_options
    from device.viewer.command_line import add_viewer_commands

    reload = add("reload", _reload, "validate the edited configuration, and put it into effect in the running service")
    reload.add_argument("--validate", action="store_true", help="validate only, as the service would; change nothing")
    reload.add_argument(
        "--revert-after",
        type=seconds(*REVERT_AFTER_S),
        metavar="SECONDS",
        help="return to the configuration before if the device is not live again in this time",
    )
    config = add("config", _config, "print each key's value, and the file or variable that it is from; secrets masked")
    which = config.add_mutually_exclusive_group()
    which.add_argument("--running", action="store_true", help="print the running daemon's, with changes by `set`")
    which.add_argument("--diff", action="store_true", help="print what a reload would change in the running daemon")
    config.add_argument("--json", action="store_true", help="print JSON")
    add_control_commands(add)
    add_viewer_commands(add)
    add_fleet_command(add)
    setup = commands.add_parser(
        "setup", help=(text := "ask for what a first start needs, try it, and start"), description=text
    )
    setup.set_defaults(command=_setup)
    add_options(setup)
    report = add("report", _report, "write a text file for support: versions, configuration, log; without secrets")
    report.add_argument(
        "--output",
        metavar="FILE",
        help="where to write it; - prints it (default: livekit-device-report-DATE.txt)",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.name is not None:
        from device.control import run_command

        return run_command.run(options.name, options.arguments)
    from device.lifecycle import signals

    signals.block()  # before the imports, which take a second on a small board
    if not is_set_up(options.config):
        from device.lifecycle import not_set_up

        not_set_up.main(options.config)
    from device.config.validation import Validation
    from device.lifecycle.execute_again import taken_over

    handover = taken_over()
    given = {"temporary": handover.temporary} if handover and handover.temporary else None
    validation = Validation(options.config, given)  # it works while this process imports the rest
    from device import daemon

    return daemon.main(options.config, validation, handover)


def _check(options: argparse.Namespace) -> int:
    from device.check import sandbox
    from device.lifecycle.leave import leave

    place = sandbox.here()
    code = None if options.no_sandbox else sandbox.run_inside(place, options.config)
    if code is None:
        import asyncio

        from device.check import command

        leave(asyncio.run(command.run(options.config, place)))
    return code


def _reload(options: argparse.Namespace) -> int:
    from device import reload_command

    return reload_command.run(options.config, revert_after_s=options.revert_after, validate_only=options.validate)


def _config(options: argparse.Namespace) -> int:
    if options.running:
        from device.control import set_commands

        return set_commands.show_running(options.config, as_json=options.json)
    from device import show_config

    return (show_config.run_diff if options.diff else show_config.run)(options.config, as_json=options.json)


def _import_boot(options: argparse.Namespace) -> int:
    from device.boot import importer
    from device.config import loading

    return importer.run(options.folder or (), loading.find(options.config))


def _devices(options: argparse.Namespace) -> int:
    from device import devices

    return devices.run(as_json=options.json)


def _setup(options: argparse.Namespace) -> NoReturn:
    from device.lifecycle.leave import leave
    from device.setup import command

    leave(command.run(options))


def _report(options: argparse.Namespace) -> int:
    from device.report import command

    return command.run(options.config, options.output)


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
