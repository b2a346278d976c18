"""The pipes with which `make bench` feeds publishers that cannot loop a file."""

from __future__ import annotations

import threading
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from tests.bench.feed import feeding
from tests.bench.material import FRAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.material import Material

_PICTURE = 100_000  # more than a pipe's buffer


@dataclass
class Made:
    """Material that is quick to create."""

    wav: Path

    def picture(self, number: int) -> bytes:
        return bytes([number % 251]) * _PICTURE


@pytest.fixture
def material(tmp_path: Path) -> Material:
    made = Made(tmp_path / "sound.wav")
    with wave.open(str(made.wav), "wb") as sound:
        sound.setparams((1, 2, 48_000, 0, "NONE", ""))
        sound.writeframes(np.arange(FRAMES, dtype=np.int16).tobytes())
    return cast("Material", made)


def test_the_feed_repeats_its_data(tmp_path: Path, material: Material) -> None:
    pictures, sound = tmp_path / "pictures", tmp_path / "sound"
    with feeding(pictures, sound, material):
        with pictures.open("rb") as pipe:
            for number in range(FRAMES + 2):
                assert pipe.read(_PICTURE) == material.picture(number % FRAMES)
        with sound.open("rb") as pipe:
            samples = np.frombuffer(pipe.read(4 * FRAMES), np.int16)
            assert samples.tolist() == [*range(FRAMES), *range(FRAMES)]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed-")]


def test_a_reader_may_open_a_pipe_again(tmp_path: Path, material: Material) -> None:
    pictures = tmp_path / "pictures"
    with feeding(pictures, tmp_path / "sound", material):
        for _ in range(3):
            pictures.open("rb", buffering=0).close()
        with pictures.open("rb") as pipe:
            assert pipe.read(_PICTURE) == material.picture(0)
            assert pipe.read(_PICTURE) == material.picture(1)


def test_the_feed_ends_without_readers(tmp_path: Path, material: Material) -> None:
    with feeding(tmp_path / "pictures", tmp_path / "sound", material):
        assert len([thread for thread in threading.enumerate() if thread.name.startswith("feed-")]) == 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed-")]
