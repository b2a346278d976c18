"""A folder for PYTHONPATH with a stand-in for PyAudio, and what its speaker has played."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

_HEADER = struct.Struct("<qI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One write of the worker: when its first sample is heard, in monotonic seconds, and the samples."""

    at: float
    samples: npt.NDArray[np.int16] = field(repr=False)

    @property
    def peak(self) -> int:
        return int(np.abs(self.samples.astype(np.int32)).max(initial=0))


@dataclass(frozen=True, slots=True)
class SoundCard:
    """The stand-in's folder, see `pyaudio.py`."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process whose PyAudio is the stand-in, with a speaker."""
        paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "PYTHONPATH": os.pathsep.join(paths),
            "SOUND_CARD": str(self.folder),
            "DEVICE_SPEAKER__SOURCE": "pyaudio",
        }

    def switch(self, word: str) -> None:
        """Let the card be "absent", "busy", "gone" or "hung"; empty: well."""
        (self.folder / "switch").write_text(word)

    def played(self) -> list[Written]:
        """Return all writes so far, of all workers."""
        path, found, at = self.folder / "played", [], 0
        data = path.read_bytes() if path.exists() else b""
        while at + _HEADER.size <= len(data):
            at_ns, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            found.append(Written(at=at_ns / 1e9, samples=np.frombuffer(data[at : at + length], np.int16)))
            at += length
        return found

    def loud(self, *, since: float = 0.0, least: int = 300) -> list[Written]:
        """Return the writes since a time that are not silent."""
        return [each for each in self.played() if each.at >= since and each.peak >= least]
