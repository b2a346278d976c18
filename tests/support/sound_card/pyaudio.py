"""A stand-in for PyAudio: one speaker without hardware. A worker imports it if this folder is in PYTHONPATH.

SOUND_CARD is a folder. `played` there gets, for each write, the monotonic time in ns at which its first sample is
heard, the number of bytes, and the samples. `switch` may have a word: "absent", "busy", "gone" (unplugged while it
plays), or "hung" (writes never return). `ppm` may have the card's clock error.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any

paInt16 = 8  # noqa: N816 - PyAudio's name
FOLDER = Path(os.environ["SOUND_CARD"])
HEADER = struct.Struct("<qI")
RATE = 48_000
PERIODS = 3  # of 10 ms: what the card takes in advance
_UNANTICIPATED, _UNAVAILABLE, _UNDERFLOWED = -9999, -9985, -9980


def _word(name: str) -> str:
    path = FOLDER / name
    return path.read_text().strip() if path.exists() else ""


class Stream:
    """An output that takes 30 ms in advance."""

    def __init__(self) -> None:
        self._file = (FOLDER / "played").open("ab", buffering=0)
        self._ns_per_frame = 1e9 / (RATE * (1 + int(_word("ppm") or 0) / 1e6))
        self._heard_at_ns = 0.0

    def write(self, samples: bytes, exception_on_underflow: bool = False) -> None:  # noqa: FBT001, FBT002
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
            raise OSError(_UNDERFLOWED, "Output underflowed")

    def get_output_latency(self) -> float:
        return PERIODS * 0.010


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

    def get_device_count(self) -> int:
        return 0 if _word("switch") == "absent" else 1

    def get_device_info_by_index(self, _index: int) -> dict[str, Any]:
        return self._info

    def get_default_output_device_info(self) -> dict[str, Any]:
        return self._info

    def get_default_input_device_info(self) -> dict[str, Any]:
        raise OSError(-1, "No default input")

    def get_host_api_info_by_index(self, _index: int) -> dict[str, Any]:
        return {"name": "stand-in"}

    def is_format_supported(self, rate: int, **_given: object) -> bool:
        return rate == RATE

    def open(self, **_given: object) -> Stream:
        if _word("switch") == "busy":
            raise OSError(_UNAVAILABLE, "Device unavailable")
        return Stream()
