"""Questions on a terminal: plain lines, which a serial line and a dumb terminal can show.

The terminal's own line editing (erase, kill, Ctrl-C) is enough for answers of one line. A library for prompts
would move the cursor and query the terminal, which neither a serial console nor TERM=dumb answers; readline would keep
secrets in a history.
"""

from __future__ import annotations

import contextlib
import sys
import termios
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from device.errors import DeviceError
from device.printable import printable
from device.redaction import hide, redacted
from device.setup.interruption import reads_notice_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ECHO_FLAGS = 3  # the position of the local modes in termios.tcgetattr


class InputEndedError(DeviceError):
    """Standard input ended before all questions were answered."""

    def __init__(self) -> None:
        super().__init__(
            "the input ended before all questions were answered; nothing was changed. Run setup on a terminal, "
            "or give the answers as options with --yes (livekit-device setup --help)"
        )


@dataclass(slots=True, kw_only=True)
class Terminal:
    """Writes questions to one stream, and reads answers from another."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)

    def __post_init__(self) -> None:
        for stream in (self.stdin, self.stdout):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # LANG=C, or bytes that are not text

    def say(self, text: str = "") -> None:
        self._write(f"{redacted(text)}\n")

    def show(self, text: str) -> None:
        """Write a text that contains a secret on purpose: the viewer's URL."""
        self._write(f"{text}\n")

    def ask(
        self, prompt: str, *, default: str = "", shown: str = "", check: Callable[[str], str] = lambda _value: ""
    ) -> str:
        """Return an answer of one line; an empty one is the default. `check` returns what is wrong with an answer."""
        suffix = f" [{shown or default}]" if shown or default else ""
        while True:
            self._write(f"{redacted(prompt + suffix)}: ")
            answer = self._line()
            problem = check(answer or default) if answer.isprintable() else "contains control characters; type it again"
            if not problem:
                return answer or default
            self.say(f"  The answer {problem}.")

    def ask_secret(self, prompt: str, *, may_keep: bool = False) -> str:
        """Return an answer that is not shown; empty only if the present one may be kept."""
        suffix = " [Enter keeps the present one]" if may_keep else ""
        while True:
            self._write(f"{prompt} (not shown){suffix}: ")
            with self._without_echo():
                answer = self._line()
            self._write("\n")
            if answer and not answer.isprintable():
                self.say("  The answer contains control characters; type it again.")
            elif answer or may_keep:
                hide(answer)
                return answer
            else:
                self.say("  The answer is empty.")

    def choose(self, title: str, labels: Sequence[str], *, default: int = 0) -> int:
        """Return the position of one of the labels."""
        self.say(title)
        for number, label in enumerate(labels, start=1):
            self.say(f"  {number}) {printable(label)}")

        def check(answer: str) -> str:
            known = answer.isdecimal() and 1 <= int(answer) <= len(labels)
            return "" if known else f"is not a number from 1 to {len(labels)}"

        return int(self.ask("Number", default=str(default + 1), check=check)) - 1

    def confirm(self, question: str, *, default: bool = False) -> bool:
        def check(answer: str) -> str:
            return "" if answer.lower() in ("y", "yes", "n", "no") else "is neither yes nor no"

        shown = "Y/n" if default else "y/N"
        return self.ask(question, default="yes" if default else "no", shown=shown, check=check).lower() in ("y", "yes")

    def _line(self) -> str:
        with reads_notice_signals():
            line = self.stdin.readline()
        if not line:
            self._write("\n")
            raise InputEndedError
        return line.strip()

    def _write(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    @contextmanager
    def _without_echo(self) -> Iterator[None]:
        """Turn the terminal's echo off; keep input that was typed or pasted before."""
        try:
            descriptor = self.stdin.fileno()
            before = termios.tcgetattr(descriptor)
        except (OSError, ValueError, termios.error):  # not a terminal, which has no echo
            yield
            return
        quiet = termios.tcgetattr(descriptor)
        quiet[_ECHO_FLAGS] &= ~termios.ECHO
        try:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
            yield
        finally:
            with contextlib.suppress(termios.error):  # the terminal was closed
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
