"""The microphone's source, on a PyAudio that loses sound: PortAudio's overflow must not end the stream."""

from __future__ import annotations

import sys
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest

from device.sources import pyaudio as module
from device.sources.pyaudio import PyAudioSource

_BLOCK_US = 20_000
_INFO = {"index": 0, "hostApi": 0, "name": "lab", "maxInputChannels": 1, "defaultSampleRate": 48000.0}


class Stream:
    """Overflows at its third read, as PyAudio does: it closes itself before it raises, or says nothing."""

    def __init__(self) -> None:
        self.now_us, self.reads, self.closed = 0, 0, False

    def read(self, frames: int, exception_on_overflow: bool = True) -> bytes:  # noqa: FBT001, FBT002
        if self.closed:
            raise OSError(-9988, "Stream closed")
        self.reads += 1
        self.now_us += _BLOCK_US + (self.reads % 2) * 15_000 - 7_500
        if self.reads == 3:
            self.now_us += 200_000
            if exception_on_overflow:
                self.closed = True
                raise OSError(-9981, "Input overflowed")
        return bytes(2 * frames)

    def get_read_available(self) -> int:
        return -9981 if self.reads == 3 else 0  # PortAudio's error is a number

    def get_input_latency(self) -> float:
        return 0.060


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    made = Stream()
    audio: Any = SimpleNamespace(
        get_default_input_device_info=lambda: _INFO,
        get_device_count=lambda: 1,
        get_device_info_by_index=lambda _index: _INFO,
        get_host_api_info_by_index=lambda _index: {"name": "ALSA"},
        is_format_supported=lambda *_args, **_more: True,
        open=lambda **_more: made,
    )
    monkeypatch.setitem(sys.modules, "pyaudio", SimpleNamespace(paInt16=8, PyAudio=lambda: audio))
    monkeypatch.setattr(module, "monotonic_us", lambda: made.now_us + 10_000_000)
    return made


def test_an_overflow_is_counted_and_the_stream_goes_on(stream: Stream) -> None:
    counted: list[int] = []
    source = PyAudioSource(device="", channels=1, on_overflow=counted.append)
    blocks = list(islice(source.blocks(), 6))
    assert not stream.closed
    assert counted == [1]
    assert blocks[2].captured_at_us - blocks[1].captured_at_us > 200_000


def test_late_wake_ups_are_no_overflow(stream: Stream) -> None:
    stream.reads = 3
    counted: list[int] = []
    list(islice(PyAudioSource(device="", channels=1, on_overflow=counted.append).blocks(), 20))
    assert counted == []
