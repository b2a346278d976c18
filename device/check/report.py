"""The rows of a check: one line each, with a tick, a cross or a dash, as they are found."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TextIO

from device.redaction import redacted

_NAME_WIDTH = 14
_GREEN, _YELLOW, _RED, _DIM, _END = "\033[32m", "\033[33m", "\033[31m", "\033[2m", "\033[0m"
_ASCII = str.maketrans({"✓": "+", "✗": "x"})


def _plain(encoding: str) -> bool:
    """Say whether a terminal lacks the signs, as with LANG=C."""
    try:
        "✓✗".encode(encoding)
    except UnicodeEncodeError:
        return True
    return False


@dataclass(slots=True)
class Report:
    """Prints rows and remembers whether one failed. What is skipped says why, and fails nothing."""

    stream: TextIO = field(default_factory=lambda: sys.stdout)
    failed: bool = False

    def good(self, name: str, text: str) -> None:
        self._row("✓", _GREEN, name, text)

    def bad(self, name: str, text: str, *, hint: str = "") -> None:
        self.failed = True
        self._row("✗", _RED, name, f"{text}; {hint}" if hint else text)

    def warn(self, name: str, text: str, *, hint: str = "") -> None:
        """Report what is no failure now, but may become one."""
        self._row("!", _YELLOW, name, f"{text}; {hint}" if hint else text)

    def skipped(self, name: str, why: str) -> None:
        self._row("-", _DIM, name, f"skipped: {why}")

    def _row(self, sign: str, colour: str, name: str, text: str) -> None:
        if self.stream.isatty() and not os.environ.get("NO_COLOR"):
            sign = f"{colour}{sign}{_END}"
        line = f"{sign} {name:<{_NAME_WIDTH}} {redacted(text)}\n"
        encoding = self.stream.encoding or "utf-8"
        self.stream.write(
            line.translate(_ASCII).encode(encoding, "replace").decode(encoding) if _plain(encoding) else line
        )
        self.stream.flush()
