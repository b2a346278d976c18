"""Ctrl-C while a question waits for its answer."""

from __future__ import annotations

import io
import os
import signal
import threading

import pytest

from device.setup.terminal import Terminal


def test_a_signal_that_does_not_interrupt_the_read_ends_the_question() -> None:
    """A signal that another thread takes is noticed by a read as little as one that arrives just before it."""
    handler, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    end, other_end = os.pipe()
    asked = threading.Event()
    late = threading.Event()

    class Shown(io.StringIO):
        def flush(self) -> None:
            asked.set()

    def interrupt() -> None:
        asked.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        if not late.wait(timeout=10):
            os.write(other_end, b"too late\n")

    thread = threading.Thread(target=interrupt)
    with os.fdopen(end) as stdin:
        thread.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                Terminal(stdin=stdin, stdout=Shown()).ask("Question")
        finally:
            late.set()
            thread.join()
            os.close(other_end)
    assert signal.getsignal(signal.SIGALRM) is handler
    assert (signal.getitimer(signal.ITIMER_REAL) == (0, 0)) == (timer == (0, 0))
