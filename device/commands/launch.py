"""Becomes another program. It runs as a script, with the standard library only.

The daemon blocks the signals that end it, and every child inherits that: no other program could be ended by them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_NOT_FOUND, _NOT_RUN = 127, 126  # as env(1) has it


def main(words: list[str]) -> int:
    """Replace this process by a program and its arguments. Return an exit code if that fails."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:  # Python ignores SIGPIPE
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execv(words[0], words)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{words[0]}: {os.strerror(error.errno or 0)}\n")
        return _NOT_FOUND if error.errno == errno.ENOENT else _NOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
