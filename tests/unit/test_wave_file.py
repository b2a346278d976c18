"""WAV files that are played directly, and those that are not."""

from __future__ import annotations

import wave
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest

from device.clock import monotonic_us
from device.sources.wave_file import WaveFile

if TYPE_CHECKING:
    from pathlib import Path

RATE, BLOCK, US = 48_000, 960, 1_000_000


def written(path: Path, *, samples: int, rate: int = RATE, channels: int = 1, width: int = 2) -> str:
    """Write a file whose n-th sample is n."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        ramp = np.repeat(np.arange(samples) % 30_000, channels)
        file.writeframes(ramp.astype(np.int16 if width == 2 else np.int8).tobytes())
    return str(path)


@pytest.mark.parametrize("channels", (1, 2))
def test_loops_without_a_gap_each_block_when_it_is_due(tmp_path: Path, channels: int) -> None:
    total = 7 * BLOCK + 100
    path = written(tmp_path / "sound.wav", samples=total, channels=channels)
    epoch_us = monotonic_us() - 3 * US
    source = WaveFile.open_native(path=path, channels=channels, epoch_us=epoch_us)
    assert source
    blocks = list(islice(source.blocks(), 20))
    assert monotonic_us() >= blocks[-1].captured_at_us
    first = round((blocks[0].captured_at_us - epoch_us) * RATE / US)
    assert first >= 3 * RATE
    assert [block.captured_at_us for block in blocks] == pytest.approx(
        [blocks[0].captured_at_us + number * 20_000 for number in range(20)], abs=1
    )
    heard = np.frombuffer(b"".join(block.samples for block in blocks), np.int16).reshape(-1, channels)
    assert (heard == ((first + np.arange(20 * BLOCK)) % total)[:, None]).all()


def test_late_blocks_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "sound.wav", samples=20 * BLOCK)
    source = WaveFile.open_native(path=path, channels=1, epoch_us=monotonic_us())
    assert source
    blocks = source.blocks()
    before = next(blocks)
    deadline_us = monotonic_us() + 200_000
    while monotonic_us() < deadline_us:
        pass
    assert next(blocks).captured_at_us >= before.captured_at_us + 150_000


@pytest.mark.parametrize(
    "form",
    (
        {"rate": 44_100},
        {"channels": 2},
        {"width": 1},
        {"samples": 100},
    ),
    ids=str,
)
def test_another_format_is_not_opened(tmp_path: Path, form: dict[str, int]) -> None:
    path = written(tmp_path / "sound.wav", **{"samples": RATE} | form)
    assert WaveFile.open_native(path=path, channels=1, epoch_us=0) is None


@pytest.mark.parametrize("content", (b"", b"RIFF", b"no sound at all" * 100))
def test_a_file_that_is_not_wav_is_not_opened(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    assert WaveFile.open_native(path=str(path), channels=1, epoch_us=0) is None
    assert WaveFile.open_native(path=str(tmp_path / "none.wav"), channels=1, epoch_us=0) is None


def test_a_truncated_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    whole = written(path, samples=RATE)
    path.write_bytes(path.read_bytes()[:50_000])
    assert WaveFile.open_native(path=whole, channels=1, epoch_us=0) is None
