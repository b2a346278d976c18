"""A program on a real pseudo-terminal, its controlling one: what it shows is waited for, then answered."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CTRL_C, CTRL_D = "\x03", "\x04"
_ROWS, _COLUMNS = 24, 80
_CHUNK = 64 << 10
_ECHO_FLAGS = 3


class Conversation:
    """What was shown so far is `text`; `expect` looks behind what it found last."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.text = ""
        self._master = master
        self._seen = 0

    def expect(self, wanted: str, *, within_s: float = 60.0) -> None:
        """Wait until a text is shown."""
        give_up_at = time.monotonic() + within_s
        while (at := self.text.find(wanted, self._seen)) < 0:
            left_s = give_up_at - time.monotonic()
            if left_s <= 0 or not self._read(left_s):
                raise AssertionError(f"{wanted!r} was not shown:\n{self.text}")
        self._seen = at + len(wanted)

    def send(self, text: str) -> None:
        """Type a text as it is."""
        os.write(self._master, text.encode())

    def answer(self, prompt: str, line: str = "") -> None:
        """Wait for a prompt, and type a line."""
        self.expect(prompt)
        self.send(f"{line}\n")

    def answer_unseen(self, prompt: str, line: str) -> None:
        """Wait for a prompt, and type a line once the terminal no more shows what is typed."""
        self.expect(prompt)
        give_up_at = time.monotonic() + 10
        while self.echoes() and time.monotonic() < give_up_at:
            time.sleep(0.01)
        assert not self.echoes()
        self.send(f"{line}\n")

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._master)[_ECHO_FLAGS] & termios.ECHO)

    def end(self, *, within_s: float = 90.0) -> int:
        """Read to the end; return the exit code."""
        give_up_at = time.monotonic() + within_s
        while self._read(give_up_at - time.monotonic()):
            pass
        return self.process.wait(max(0.1, give_up_at - time.monotonic()))

    def _read(self, within_s: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, within_s))[0]:
            return False
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            if data := os.read(self._master, _CHUNK):
                self.text += data.decode(errors="replace").replace("\r\n", "\n")
                return True
        return False


@contextmanager
def conversation(*command: str, variables: Mapping[str, str], columns: int = _COLUMNS) -> Iterator[Conversation]:
    """Run a program on a terminal of its own; afterwards it is not alive."""
    master, terminal = pty.openpty()
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
        process = subprocess.Popen(
            ["setsid", "--ctty", *command], env=variables, stdin=terminal, stdout=terminal, stderr=terminal
        )
    finally:
        os.close(terminal)
    try:
        yield Conversation(process, master)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(master)
