"""`livekit-device setup`: ask, test, write the configuration, start the service, show the URL."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from device import log
from device.boot import mounts
from device.check.report import Report
from device.config import effective, loading, writing
from device.config.diff import entries
from device.config.layer import overridden
from device.config.network import Network
from device.config.places import DEFAULT_PATH, PREFIX
from device.errors import ConfigError, DeviceError, ExitCode, system_text
from device.network import rules
from device.settings import network_rules
from device.setup import options as setup_options
from device.setup import present as before
from device.setup.draft import loaded, new_state, private_folder
from device.setup.how_to_watch import serve_page, show_viewer_url
from device.setup.interruption import Stopped, signals_delayed, signals_raise
from device.setup.questions import Questions
from device.setup.service import Service
from device.setup.terminal import Terminal
from device.setup.tries import Tries
from device.transaction import TransactionError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from device.setup.draft import State


@dataclass(slots=True)
class _Progress:
    """`written`: the new configuration is in /etc."""

    written: bool = False

    def __str__(self) -> str:
        return "The new configuration is written." if self.written else "Nothing was changed."


def run(options: argparse.Namespace) -> int:
    """Return the exit code."""
    progress = _Progress()
    try:
        with signals_raise():
            return _run(options, progress)
    except setup_options.UsageError as error:
        _print_error(str(error))
        return error.exit_code
    except DeviceError:
        raise
    except Exception as error:  # a bug, or a terminal that was closed; its text may contain secrets  # noqa: BLE001
        _print_error(f"An internal error ({type(error).__name__}); please report it. {progress}")
        return ExitCode.INTERNAL
    except KeyboardInterrupt as stopped:
        _print_error(f"\nStopped. {progress}")
        return Stopped.exit_code_of(stopped)


def _print_error(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be closed
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _run(options: argparse.Namespace, progress: _Progress) -> int:
    _forget_environment()
    log.configure(level="error", format="auto", stream=io.StringIO())  # the rows report all results
    terminal = Terminal()
    target = options.root / DEFAULT_PATH.parent.relative_to("/")
    configuration = target / DEFAULT_PATH.name
    _demand_rights(target)
    given = setup_options.given(options)
    with private_folder(options.root) as folder:
        with signals_delayed():
            writing.finish(configuration)
        present = before.read(target)
        _use_network(configuration, present.data)
        if options.yes:
            setup_options.demand_complete(options, present)
        _warn_if_volatile(terminal, options.root, target)
        service = Service(options.root, terminal)
        questions = Questions(
            terminal=None if options.yes else terminal,
            tries=Tries(skip=options.no_check, service=service.state(), report=Report(stream=terminal.stdout)),
            given=given,
            present=present,
            folder=folder,
            target=target,
        )
        if not options.yes:
            terminal.say("Enter takes the answer in [brackets]. Ctrl-C ends setup and changes nothing.")
        answers = questions.ask()
        questions.draft(answers)
        if before.read(target) != present:
            raise DeviceError(f"{target} has changed since setup began; nothing was changed, run setup again")
        with signals_delayed():
            _write(configuration, new_state(present, answers))
            progress.written = True
    terminal.say(f"Written: {configuration}")
    _warn_if_overridden(terminal, configuration)
    return _start(options, service, terminal, target, patient=not (questions.unproven or options.no_check))


def _use_network(configuration: Path, data: Mapping[str, Any]) -> None:
    """Reach servers as the present configuration says, which may not be complete yet."""
    network: effective.Network | Network
    try:
        network = loading.load(configuration).network
    except ConfigError:
        try:
            network = Network.model_validate(data.get("network", {}))
        except ValidationError:  # the draft reports it
            return
    rules.use(network_rules(network, configuration.parent / writing.CREDENTIALS))


def _write(configuration: Path, state: State) -> None:
    """Replace configuration and secrets as one. Raises DeviceError, whose text states whether files have changed."""
    try:
        writing.write(configuration, state.text, secrets=state.secrets, mode=state.mode)
    except (TransactionError, OSError) as error:
        text = str(error) if isinstance(error, DeviceError) else f"{error.filename}: {system_text(error)}"
        unfinished = writing.is_unfinished(configuration)
        outcome = "the next setup or start of the service completes the change" if unfinished else "nothing was changed"
        raise DeviceError(f"{text}; {outcome}") from None


def _warn_if_overridden(terminal: Terminal, configuration: Path) -> None:
    found = loading.loaded(configuration)
    for key, place in overridden(found.layers, (key for key, _, _ in entries(found.config))):
        terminal.say(f"Warning: {key} has no effect there: {place} overrides it.")


def _warn_if_volatile(terminal: Terminal, root: Path, target: Path) -> None:
    if kind := mounts.volatile_folder(target, root=root):
        terminal.say(f"Warning: {target} is on a file system in memory ({kind}): the configuration is lost at the")
        terminal.say("next boot. Make the file system writable first (raspi-config: Overlay File System, off), or put")
        terminal.say("livekit-device.toml on the boot partition, from which it is imported at each boot.")


def _start(options: argparse.Namespace, service: Service, terminal: Terminal, target: Path, *, patient: bool) -> int:
    """Start the service if the options and the system allow it; print how to watch.

    With `patient`, which means that all answers passed their tests, a service that does not go live is a failure.
    """
    if options.no_start:
        terminal.say("The service was not started (--no-start).")
    elif not service.exists():
        terminal.say("systemd has no livekit-device.service here; start the device with: livekit-device run")
    elif not service.start():
        return ExitCode.FAILED
    elif not patient:
        terminal.say(
            "The service runs. It goes live when the answers that failed their test work: see `livekit-device check`."
        )
    elif not service.wait_live():
        return ExitCode.FAILED
    page = show_viewer_url(terminal, loaded(target))
    if page and not options.yes and terminal.confirm("Serve that page now, until Ctrl-C?"):
        serve_page(target, page)
    return ExitCode.OK


def _demand_rights(target: Path) -> None:
    folder = target if target.exists() else target.parent
    if not folder.is_dir():
        raise DeviceError(f"{folder}: there is no such folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DeviceError(f"{folder} can be written by root only: sudo livekit-device setup")


def _forget_environment() -> None:
    """Remove the variables that override the configuration: the service does not get them from this shell."""
    for name in [each for each in os.environ if each.upper().startswith(PREFIX)]:
        del os.environ[name]
