"""Starts the service, waits until it is live, and reports what is missing if it does not become live in time."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

from device.redaction import redacted
from device.telemetry import state_file

if TYPE_CHECKING:
    from pathlib import Path

    from device.setup.terminal import Terminal

UNIT = "livekit-device.service"
_BOOTED = "run/systemd/system"  # sd_booted(3)
_ASK_S, _START_S = 10.0, 60.0
_LIVE_S, _LOOK_S = 60.0, 0.25
_LINES = 5
_LIVE = "live"
_PARTS_NOT_SHOWN = frozenset({"pid", "started", "state"})


class Service:
    """The unit under systemd, below a root folder."""

    def __init__(self, root: Path, terminal: Terminal) -> None:
        self._root = root
        self._terminal = terminal
        self._state_path = root / state_file.SERVICE_PATH.relative_to("/")

    def state(self) -> dict[str, Any]:
        """Return the state that the running service reports; empty if it does not run."""
        return state_file.read(self._state_path)

    def exists(self) -> bool:
        """Return whether systemd runs here and has the unit."""
        return (self._root / _BOOTED).is_dir() and bool(shutil.which("systemctl")) and self._ask("cat", UNIT)[0]

    def start(self) -> bool:
        """Restart the service; return whether it started. Prints why it did not."""
        self._terminal.say("Starting the service.")
        started, text = self._ask("restart", UNIT, within_s=_START_S)
        if not started:
            self._terminal.say(f"The service does not start: {text or 'systemctl failed'}")
            self._show_log()
            return False
        if not self._ask("is-enabled", "--quiet", UNIT)[0]:
            self._terminal.say("It does not start at boot yet; to change that, run: systemctl enable livekit-device")
        return True

    def wait_live(self, *, within_s: float = _LIVE_S) -> bool:
        """Show each change of its state until it is live; after `within_s` print what is missing."""
        give_up_at = time.monotonic() + within_s
        shown, state = "", self.state()
        while state.get("state") != _LIVE and time.monotonic() < give_up_at:
            if (text := _parts(state)) != shown:
                self._terminal.say(f"  {text}")
                shown = text
            time.sleep(_LOOK_S)
            state = self.state()
        if state.get("state") == _LIVE:
            self._terminal.say("  live: everything is published in the room")
            return True
        self._terminal.say(f"The device is not live after {within_s:.0f} s.")
        for name, text in state.items():
            if name not in _PARTS_NOT_SHOWN and text != _LIVE:
                self._terminal.say(f"  {name}: {text}")
        if not state:
            self._terminal.say("  The service is not running, or has no state file.")
            self._show_log()
        self._terminal.say("It keeps trying. For details of each step, run `livekit-device check` or")
        self._terminal.say("`journalctl -u livekit-device`.")
        return False

    def _show_log(self) -> None:
        """Show the last lines of its log."""
        if not (journalctl := shutil.which("journalctl")):
            return
        _, text = _run(journalctl, "-u", UNIT, "-n", str(_LINES), "--no-pager", "-o", "cat", within_s=_ASK_S)
        for line in text.splitlines()[-_LINES:]:
            self._terminal.say(f"  {line}")

    def _ask(self, *arguments: str, within_s: float = _ASK_S) -> tuple[bool, str]:
        systemctl = shutil.which("systemctl")
        return _run(systemctl, *arguments, within_s=within_s) if systemctl else (False, "systemctl is not installed")


def _run(*command: str, within_s: float) -> tuple[bool, str]:
    """Run a program; return whether it succeeded, and its output."""
    try:
        done = subprocess.run(  # absolute paths, and arguments from this module  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {within_s:.0f} s"
    except OSError as error:
        return False, error.strerror or type(error).__name__
    text = done.stdout.decode(errors="replace").strip()
    shown = "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
    return done.returncode == 0, redacted(shown)


def _parts(state: dict[str, Any]) -> str:
    parts = [f"{name} {text}" for name, text in state.items() if name not in _PARTS_NOT_SHOWN]
    return "; ".join(parts) or "the service starts"
