"""Sound files are decoded by a child process, within limits of size, length and time."""

from __future__ import annotations

import asyncio
import os
import wave
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from device.control import sound_files
from device.errors import CallError, SourceError
from device.media.block import SAMPLE_RATE
from device.workers import sound_file
from tests.support.children import living_descendants

if TYPE_CHECKING:
    from pathlib import Path

_TONE_HZ = 600


def wave_file(path: Path, *, rate: int = SAMPLE_RATE, channels: int = 1, duration_s: float = 0.5) -> str:
    mono = 0.25 * np.sin(2 * np.pi * _TONE_HZ * np.arange(round(rate * duration_s)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(np.repeat(np.round(mono * 32767).astype(np.int16), channels).tobytes())
    return str(path)


def assert_the_tone(pcm: bytes, *, duration_s: float = 0.5) -> None:
    samples = np.frombuffer(pcm, np.int16).astype(float)
    assert len(samples) == pytest.approx(duration_s * SAMPLE_RATE, abs=2500)  # codecs work in whole frames
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert float(np.argmax(spectrum)) * SAMPLE_RATE / len(middle) == pytest.approx(_TONE_HZ, abs=10)
    assert np.abs(middle).max() == pytest.approx(0.25 * 32767, rel=0.1)


@pytest.mark.parametrize(("rate", "channels"), ((48_000, 1), (48_000, 2), (44_100, 2), (8000, 1)))
def test_waves_of_any_rate_become_one_channel_at_48_khz(tmp_path: Path, rate: int, channels: int) -> None:
    assert_the_tone(sound_file.decoded(wave_file(tmp_path / "bell.wav", rate=rate, channels=channels)))


@pytest.mark.parametrize(("name", "codec"), (("bell.ogg", "libopus"), ("bell.flac", "flac"), ("bell.m4a", "aac")))
def test_other_formats_are_decoded(tmp_path: Path, name: str, codec: str) -> None:
    source = wave_file(tmp_path / "bell.wav")
    with av.open(source) as plain, av.open(str(tmp_path / name), "w") as packed:
        stream: Any = packed.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        for frame in plain.decode(audio=0):
            packed.mux(stream.encode(frame))
        packed.mux(stream.encode(None))
    assert_the_tone(sound_file.decoded(str(tmp_path / name)))


def why(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        sound_file.decoded(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_what_is_no_sound_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert why(tmp_path / "absent.wav") == "cannot be read: No such file or directory"
    assert why(tmp_path) == "is no regular file"
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    assert why(tmp_path / "pipe") == "is no regular file"
    (tmp_path / "text.wav").write_text("no sound" * 100)
    assert why(tmp_path / "text.wav").startswith("cannot be opened: ")
    (tmp_path / "empty.wav").touch()
    assert why(tmp_path / "empty.wav").startswith("cannot be opened: ")
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(sound_file.MAX_FILE_BYTES + 1)
    assert why(tmp_path / "large.wav") == "is larger than 16 MiB"


@pytest.mark.parametrize("rate", (SAMPLE_RATE, 8000))
def test_a_sound_may_last_15_seconds(tmp_path: Path, rate: int) -> None:
    assert_the_tone(sound_file.decoded(wave_file(tmp_path / "ok.wav", rate=rate, duration_s=14.9)), duration_s=14.9)
    wave_file(tmp_path / "long.wav", rate=rate, duration_s=15.1)
    assert why(tmp_path / "long.wav") == "is longer than 15 s"


def test_a_child_decodes_and_ends(tmp_path: Path) -> None:
    path = wave_file(tmp_path / "bell.wav", rate=44_100)

    async def scenario() -> None:
        assert_the_tone(await sound_files.decoded(path))
        for name, text in (("absent", "cannot be read: No such file or directory"), ("text", "cannot be opened: ")):
            with pytest.raises(CallError, match=text):
                await sound_files.decoded(str(tmp_path / name))

    (tmp_path / "text").write_text("no sound")
    before = living_descendants(os.getpid())
    asyncio.run(scenario())
    assert living_descendants(os.getpid()) == before


def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_files, "_MODULE", "http.server")
    monkeypatch.setattr(sound_files, "_WITHIN_S", 0.5)
    before = living_descendants(os.getpid())
    with pytest.raises(CallError, match="cannot be decoded within"):
        asyncio.run(sound_files.decoded("0"))
    assert living_descendants(os.getpid()) == before


def test_what_a_child_writes_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("this", "device.absent"):  # a poem, and nothing
        monkeypatch.setattr(sound_files, "_MODULE", module)
        with pytest.raises(CallError):
            asyncio.run(sound_files.decoded("/bell.wav"))
