"""Kills a child with SIGKILL right before one of its system calls on files, for each of them in turn."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# All that changes something on a disk, as the code under test calls it, directly or by pathlib and shutil.
CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "fchmod", "chmod", "ftruncate")
_MOST = 400


def killed_at_each_step(action: Callable[[], object], prepare: Callable[[], object]) -> Iterator[str]:
    """Prepare, run the action in a child and kill it before its next call; yield that call's name, until it ends."""
    for step in range(1, _MOST):
        prepare()
        call = _killed_before(step, action)
        if not call:
            return
        yield call
    raise AssertionError(f"more than {_MOST} steps")


def _killed_before(step: int, action: Callable[[], object]) -> str:
    """Return the name of the call that the child was killed before; empty if it ended by itself."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _count_down(step, writer)
            action()
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        call = pipe.read()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return call
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed by itself"
    return ""


def _count_down(step: int, writer: int) -> None:
    left = step
    write = os.write

    def counting(name: str) -> None:
        original = getattr(os, name)

        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                write(writer, name.encode())
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **more)

        setattr(os, name, call)

    for name in CALLS:
        counting(name)
