"""The congestion window's settings in the real library's memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from device.native_sdk import congestion_window
from device.native_sdk.congestion_window import _OURS, _THEIRS, drop_no_pictures

if TYPE_CHECKING:
    from pathlib import Path

# In a process of its own: the library of this one is changed already.
_SCRIPT = """
import ctypes, sys
from importlib import resources
from device.native_sdk.congestion_window import _OURS, _THEIRS, drop_no_pictures
path = str(resources.files("livekit.rtc.resources").joinpath("liblivekit_ffi.so"))
assert not drop_no_pictures(path), "it is not loaded"
ctypes.CDLL(path)
rights = lambda: sorted(line.split()[1] for line in open("/proc/self/maps") if line.rstrip().endswith(path))
before = rights()
assert drop_no_pictures(path)
assert drop_no_pictures(path), "the second time"
assert set(rights()) == set(before), rights()
content = open(path, "rb").read()
at = content.index(_THEIRS)
assert content.count(_THEIRS) == 1, "another place may be meant"
[base] = [int(line.split("-")[0], 16) for line in open("/proc/self/maps")
          if line.rstrip().endswith(path) and line.split()[2] == "00000000"]
assert ctypes.string_at(base + at, len(_OURS)) == _OURS
"""


def test_the_settings_change_in_this_processs_memory_alone() -> None:
    done = subprocess.run((sys.executable, "-c", _SCRIPT), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_both_texts_are_equally_long() -> None:
    assert len(_OURS) == len(_THEIRS)


@pytest.mark.parametrize("content", (b"nothing", _THEIRS, b""), ids=("none", "not mapped", "empty"))
def test_another_library_is_not_touched(tmp_path: Path, content: bytes) -> None:
    library = tmp_path / "library.so"
    library.write_bytes(content)
    assert not drop_no_pictures(str(library))


def test_a_library_that_is_not_a_file_is_not_touched(tmp_path: Path) -> None:
    assert not drop_no_pictures("liblivekit_ffi.so")
    assert not drop_no_pictures(str(tmp_path))


def test_memory_that_can_be_written_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, maps = tmp_path / "library.so", tmp_path / "maps"
    library.write_bytes(_THEIRS)
    maps.write_text(f"1000-2000 rw-p 00000000 00:00 7 {library}\n1000-2000 r--p 00000000 00:00 7\n")
    monkeypatch.setattr(congestion_window, "_MAPS", maps)
    assert not drop_no_pictures(str(library))
