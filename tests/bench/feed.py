"""Pictures and sound through named pipes, for a publisher that cannot loop a file.

The reader sets the pace. Feeding does not count as the publisher's cost; it stands for a camera. What a reader leaves
in a pipe is there for the next one: GStreamer's parsers open a file, find out whether it can seek, and open it again.
"""

from __future__ import annotations

import os
import threading
import wave
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from tests.bench.material import FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.material import Material

_LOOK_S = 0.02


@contextmanager
def feeding(pictures: Path, sound: Path, material: Material) -> Iterator[None]:
    """Create both pipes, and feed their readers with I420 pictures and 16-bit samples until the pipes are closed."""
    ended = threading.Event()
    threads = {
        pictures: _fed(pictures, lambda: _raw_pictures(material), ended),
        sound: _fed(sound, lambda: _samples(material), ended),
    }
    try:
        yield
    finally:
        ended.set()
        for path, thread in threads.items():
            while thread.is_alive():
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # unblocks a thread that waits for a reader
                thread.join(_LOOK_S)


def _fed(path: Path, chunks: Callable[[], Iterator[bytes]], ended: threading.Event) -> threading.Thread:
    os.mkfifo(path)

    def feed() -> None:
        with path.open("wb", buffering=0) as pipe:
            for chunk in chunks():
                rest = memoryview(chunk)
                while rest:
                    try:
                        rest = rest[pipe.write(rest) :]
                    except BrokenPipeError:  # there is no reader now
                        if ended.wait(_LOOK_S):
                            return

    thread = threading.Thread(target=feed, name=f"feed-{path.name}", daemon=True)
    thread.start()
    return thread


def _raw_pictures(material: Material) -> Iterator[bytes]:
    for number in cycle(range(FRAMES)):
        yield material.picture(number)


def _samples(material: Material) -> Iterator[bytes]:
    with wave.open(str(material.wav), "rb") as sound:
        whole = sound.readframes(sound.getnframes())
    for block in cycle(np.split(np.frombuffer(whole, np.int16), FRAMES)):
        yield block.tobytes()
