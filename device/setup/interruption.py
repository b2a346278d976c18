"""Ctrl-C, SIGTERM and SIGHUP: they end setup by an exception, and are delayed while files are replaced."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_LOOK_S = 0.5
_INTERRUPTED = 128  # plus the signal's number, as shells report it


class Stopped(KeyboardInterrupt):
    """A signal ends this process."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @staticmethod
    def exit_code_of(error: KeyboardInterrupt) -> int:
        return _INTERRUPTED + (error.number if isinstance(error, Stopped) else signal.SIGINT)


@contextmanager
def signals_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise an exception as Ctrl-C does, so that all resources are released."""

    def stop(number: int, _frame: object) -> None:
        raise Stopped(number)

    kept = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def reads_notice_signals() -> Iterator[None]:
    """Interrupt a read now and then: a signal that arrived just before it would be noticed only after the next line.

    Ctrl-C also throws away what was typed before it, so a line that a terminal has may be gone when it is read.
    """
    kept = signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    kept_timer = signal.setitimer(signal.ITIMER_REAL, _LOOK_S, _LOOK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *kept_timer)
        signal.signal(signal.SIGALRM, kept)


@contextmanager
def signals_delayed() -> Iterator[None]:
    """Deliver signals that end the process after the block. A signal mask does not help: other threads take them."""
    arrived: list[int] = []
    kept = {number: signal.signal(number, lambda number, _frame: arrived.append(number)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    if arrived:
        signal.raise_signal(arrived[0])
