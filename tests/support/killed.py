"""Signals a child right before one of its system calls on files, for each of them in turn; SIGKILL kills it there."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# All that changes something on a disk, as the code under test calls it, directly or by pathlib and shutil.
CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "fchmod", "chmod", "ftruncate")
_MOST = 400


def killed_at_each_step(
    action: Callable[[], object], prepare: Callable[[], object], *, number: int = signal.SIGKILL
) -> Iterator[str]:
    """Prepare, run the action in a child and signal it before its next call; yield that call's name, until it ends."""
    for step in range(1, _MOST):
        prepare()
        call = _signalled_before(step, action, number)
        if not call:
            return
        yield call
    raise AssertionError(f"more than {_MOST} steps")


def _signalled_before(step: int, action: Callable[[], object], number: int) -> str:
    """Return the name of the call that the child was signalled before; empty if it ended before that."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _count_down(step, writer, number)
            action()
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        call = pipe.read()
    code = os.waitstatus_to_exitcode(status)
    assert code == (-signal.SIGKILL if call and number == signal.SIGKILL else 0), "the child failed by itself"
    return call


def _count_down(step: int, writer: int, number: int) -> None:
    left = step
    write = os.write

    def counting(name: str) -> None:
        original = getattr(os, name)

        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                write(writer, name.encode())
                os.kill(os.getpid(), number)
            return original(*arguments, **more)

        setattr(os, name, call)

    for name in CALLS:
        counting(name)
