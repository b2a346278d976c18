"""`livekit-device setup`: ask and try, replace the configuration in one step, start, wait until live, show the URL."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from device import log
from device.check.report import Report
from device.config.places import DEFAULT_PATH, PREFIX
from device.errors import DeviceError, ExitCode
from device.setup import options as setup_options
from device.setup import present as before
from device.setup.draft import loaded
from device.setup.how_to_watch import serve_page, show_viewer_url
from device.setup.questions import Questions
from device.setup.service import Service
from device.setup.terminal import Terminal
from device.setup.transaction import TransactionError, staging
from device.setup.tries import Tries

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

_INTERRUPTED = 128  # plus the signal's number, as shells have it


class Stopped(KeyboardInterrupt):
    """A signal asks this process to end; with its number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def run(options: argparse.Namespace, *, on_step: Callable[[str], None] = lambda _step: None) -> int:
    """Return the exit code. `on_step` is called after each step that changes files, for tests."""
    written = False

    def note(step: str) -> None:
        nonlocal written
        on_step(step)
        written = written or step == "committed"

    def said() -> str:
        return "The new configuration is written." if written else "Nothing was changed."

    try:
        with _signals_raise():
            return _run(options, note)
    except setup_options.UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except DeviceError:
        raise
    except Exception as error:  # a bug, or a terminal that is gone; its text may contain secrets  # noqa: BLE001
        _tell(f"An internal error ({type(error).__name__}); please report it. {said()}")
        return ExitCode.INTERNAL
    except KeyboardInterrupt as stopped:
        _tell(f"\nStopped. {said()}")
        return _INTERRUPTED + (stopped.number if isinstance(stopped, Stopped) else signal.SIGINT)


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _run(options: argparse.Namespace, on_step: Callable[[str], None]) -> int:
    _forget_environment()
    log.configure(level="error", format="auto", stream=io.StringIO())  # the rows say what is to be said
    terminal = Terminal()
    target = options.root / DEFAULT_PATH.parent.relative_to("/")
    _demand_rights(target)
    given = setup_options.given(options)
    with staging(target, on_step=on_step) as stage:
        present = before.read(target)
        if options.yes:
            setup_options.demand_complete(options, present)
        service = Service(options.root, terminal)
        questions = Questions(
            terminal=None if options.yes else terminal,
            tries=Tries(skip=options.no_check, service=service.state(), report=Report(stream=terminal.stdout)),
            given=given,
            present=present,
            stage=stage,
            target=target,
        )
        if not options.yes:
            terminal.say("Answers in [brackets] are taken by Enter. Ctrl-C ends this and changes nothing.")
        answers = questions.ask()
        questions.draft(answers)
        if before.read(target) != present:
            raise TransactionError(f"{target} has changed since setup began; nothing was changed, run it again")
        stage.commit()
    terminal.say(f"Written: {target / DEFAULT_PATH.name}")
    return _start(options, service, terminal, target, patient=not (questions.unproven or options.no_check))


def _start(options: argparse.Namespace, service: Service, terminal: Terminal, target: Path, *, patient: bool) -> int:
    """Start the service if that is wanted and possible; print how to watch.

    A service that does not become live is a failure only with `patient`: if all answers passed their tries.
    """
    if options.no_start:
        terminal.say("The service was not started (--no-start).")
    elif not service.exists():
        terminal.say("There is no livekit-device.service of systemd here; start it by: livekit-device run")
    elif not service.start():
        return ExitCode.FAILED
    elif not patient:
        terminal.say(
            "The service runs, and goes live when the answers that failed their try work: see `livekit-device check`."
        )
    elif not service.wait_live():
        return ExitCode.FAILED
    page = show_viewer_url(terminal, loaded(target, target))
    if page and not options.yes and terminal.confirm("Serve that page now, until Ctrl-C?"):
        serve_page(target, page)
    return ExitCode.OK


def _demand_rights(target: Path) -> None:
    folder = target.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        if not folder.is_dir():
            raise TransactionError(f"{folder}: there is no such folder")
        raise DeviceError(f"{folder} may be written by root only: sudo livekit-device setup")


def _forget_environment() -> None:
    """Remove the variables that override the configuration: the service does not have this shell's."""
    for name in [each for each in os.environ if each.upper().startswith(PREFIX)]:
        del os.environ[name]


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise an exception as Ctrl-C does, so that all resources are released."""

    def stop(number: int, _frame: object) -> None:
        raise Stopped(number)

    kept = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
