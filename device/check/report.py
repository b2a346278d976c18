"""Prints the rows of `check`: one line each, with a tick, a cross, an exclamation mark or a dash."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from device.errors import DeviceError, leaves
from device.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME_WIDTH = 14
_GREEN, _YELLOW, _RED, _DIM, _END = "\033[32m", "\033[33m", "\033[31m", "\033[2m", "\033[0m"
_ERASE = "\r\033[K"
_PROGRESS_S = 1.0
_ASCII = str.maketrans({"✓": "+", "✗": "x"})


def _needs_ascii(encoding: str) -> bool:
    """Return whether an encoding lacks the signs, as with LANG=C."""
    try:
        "✓✗".encode(encoding)
    except UnicodeEncodeError:
        return True
    return False


@dataclass(slots=True)
class Report:
    """Prints rows and records whether one failed. A skipped row has a reason and is not a failure."""

    stream: TextIO = field(default_factory=lambda: sys.stdout)
    failed: bool = False
    _busy: bool = field(default=False, init=False)  # a line of progress is on the terminal
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def good(self, name: str, text: str) -> None:
        self._row("✓", _GREEN, name, text)

    def bad(self, name: str, text: str, *, hint: str = "") -> None:
        self.failed = True
        self._row("✗", _RED, name, f"{text}; {hint}" if hint else text)

    def warn(self, name: str, text: str, *, hint: str = "") -> None:
        """Report a problem that is not a failure yet."""
        self._row("!", _YELLOW, name, f"{text}; {hint}" if hint else text)

    def skipped(self, name: str, why: str) -> None:
        self._row("-", _DIM, name, f"skipped: {why}")

    @contextmanager
    def busy(self, name: str, text: str) -> Iterator[None]:
        """Show on a terminal how long a step has been running. It uses a thread, because some steps block."""
        if not self.stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            yield
            return
        done = threading.Event()

        def show() -> None:
            seconds = 0.0
            while not done.wait(_PROGRESS_S):
                seconds += _PROGRESS_S
                with self._lock:
                    self._busy = True
                    self.stream.write(f"{_ERASE}. {name:<{_NAME_WIDTH}} {text}, {seconds:.0f} s")
                    self.stream.flush()

        thread = threading.Thread(target=show, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            with self._lock:
                self._erase()
                self.stream.flush()

    def _erase(self) -> None:
        if self._busy:
            self.stream.write(_ERASE)
            self._busy = False

    def _row(self, sign: str, colour: str, name: str, text: str) -> None:
        if self.stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb":
            sign = f"{colour}{sign}{_END}"
        line = f"{sign} {name:<{_NAME_WIDTH}} {redacted(text)}\n"
        encoding = self.stream.encoding or "utf-8"
        with self._lock:
            self._erase()
            self.stream.write(
                line.translate(_ASCII).encode(encoding, "replace").decode(encoding) if _needs_ascii(encoding) else line
            )
            self.stream.flush()


def report_failures(report: Report, row: str, error: BaseException) -> None:
    """Report an error, or each error of a group. Other exceptions, such as a cancellation, are raised again."""
    for each in leaves(error):
        if isinstance(each, DeviceError):
            report.bad(row, str(each) or each.for_viewers)
        elif isinstance(each, Exception):
            report.bad(row, f"an internal error ({type(each).__name__})", hint="please report it")
        else:
            raise each
