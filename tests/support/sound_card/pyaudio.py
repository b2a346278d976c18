"""A stand-in for PyAudio: a speaker, and perhaps a microphone, without hardware.

A worker imports it if this folder is in PYTHONPATH. SOUND_CARD is a folder. `played` there gets, for each write, the
monotonic time in ns at which its first sample is heard, the number of bytes, and the samples. `switch` may have a word:
"absent", "busy", "gone" (unplugged while it plays), or "hung" (writes never return). `ppm` may have the card's clock
error. With `microphone` there is one, which hears the speaker 40 ms later, amplified by so many decibels, and noise.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

paInt16 = 8  # noqa: N816 - PyAudio's name
FOLDER = Path(os.environ["SOUND_CARD"])
HEADER = struct.Struct("<qI")
RATE = 48_000
DELAY_NS = 40_000_000
PERIODS = 3  # of 10 ms: what the card takes in advance
_UNANTICIPATED, _UNAVAILABLE, _UNDERFLOWED, _CLOSED = -9999, -9985, -9980, -9988


def _word(name: str) -> str:
    path = FOLDER / name
    return path.read_text().strip() if path.exists() else ""


class Stream:
    """An output that takes 30 ms in advance."""

    def __init__(self) -> None:
        self._file = (FOLDER / "played").open("ab", buffering=0)
        self._ns_per_frame = 1e9 / (RATE * (1 + int(_word("ppm") or 0) / 1e6))
        self._heard_at_ns = 0.0
        self._closed = False

    def write(self, samples: bytes, exception_on_underflow: bool = False) -> None:  # noqa: FBT001, FBT002
        if self._closed:
            raise OSError(_CLOSED, "Stream closed")
        word = _word("switch")
        if word == "hung":
            time.sleep(3600)
        if word in ("gone", "absent"):
            raise OSError(_UNANTICIPATED, "Unanticipated host error")
        now_ns = time.monotonic_ns()
        late = self._heard_at_ns and self._heard_at_ns < now_ns
        self._heard_at_ns = max(self._heard_at_ns, now_ns)
        self._file.write(HEADER.pack(int(self._heard_at_ns), len(samples)) + samples)
        self._heard_at_ns += len(samples) // 2 * self._ns_per_frame
        left_s = (self._heard_at_ns - now_ns) / 1e9 - PERIODS * 0.010
        if left_s > 0:
            time.sleep(left_s)
        if late and exception_on_underflow:
            self._closed = True  # as PyAudio does before it raises
            raise OSError(_UNDERFLOWED, "Output underflowed")

    def get_output_latency(self) -> float:
        if self._closed:
            raise OSError(_CLOSED, "Stream closed")
        return PERIODS * 0.010


class Input:
    """A microphone beside the speaker."""

    def __init__(self) -> None:
        self._gain = 10 ** (float(_word("microphone")) / 20)
        self._noise = np.random.default_rng(1)
        self._at_ns = time.monotonic_ns()
        self._position = 0
        self._heard: list[tuple[int, npt.NDArray[np.int16]]] = []

    def read(self, frames: int, exception_on_overflow: bool = True) -> bytes:  # noqa: ARG002, FBT001, FBT002
        begin_ns, self._at_ns = self._at_ns, self._at_ns + frames * 1_000_000_000 // RATE
        time.sleep(max(0.0, (self._at_ns - time.monotonic_ns()) / 1e9))
        block = self._noise.normal(0, 20, frames)
        self._take()
        for at_ns, samples in self._heard:
            first = round((at_ns + DELAY_NS - begin_ns) * RATE / 1e9)
            begin, end = max(0, first), min(frames, first + len(samples))
            if begin < end:
                block[begin:end] += samples[begin - first : end - first] * self._gain
        self._heard = [each for each in self._heard if each[0] + 2 * DELAY_NS > begin_ns]
        return bytes(np.clip(block, -32768, 32767).astype(np.int16).tobytes())

    def get_read_available(self) -> int:
        return 0

    def get_input_latency(self) -> float:
        return 0.020

    def _take(self) -> None:
        """Take what was played since the last block."""
        path = FOLDER / "played"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        at = 0
        while at + HEADER.size <= len(data):
            at_ns, length = HEADER.unpack_from(data, at)
            if at + HEADER.size + length > len(data):
                break
            at += HEADER.size
            self._heard.append((at_ns, np.frombuffer(data[at : at + length], np.int16)))
            at += length
        self._position += at


class PyAudio:
    def __init__(self) -> None:
        self._info = {
            "index": 0,
            "name": "Stand-in: speaker",
            "hostApi": 0,
            "maxInputChannels": 0,
            "maxOutputChannels": 2,
            "defaultSampleRate": float(RATE),
        }
        self._microphone = self._info | {
            "index": 1,
            "name": "Stand-in: microphone",
            "maxInputChannels": 1,
            "maxOutputChannels": 0,
        }

    def get_device_count(self) -> int:
        return 0 if _word("switch") == "absent" else 2 if _word("microphone") else 1

    def get_device_info_by_index(self, index: int) -> dict[str, Any]:
        return self._microphone if index else self._info

    def get_default_output_device_info(self) -> dict[str, Any]:
        return self._info

    def get_default_input_device_info(self) -> dict[str, Any]:
        if not _word("microphone"):
            raise OSError(-1, "No default input")
        return self._microphone

    def get_host_api_info_by_index(self, _index: int) -> dict[str, Any]:
        return {"name": "stand-in"}

    def is_format_supported(self, rate: int, **_given: object) -> bool:
        return rate == RATE

    def open(self, **given: object) -> Stream | Input:
        if given.get("input"):
            return Input()
        if _word("switch") == "busy":
            raise OSError(_UNAVAILABLE, "Device unavailable")
        return Stream()
