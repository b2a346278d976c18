"""What the kernel tells about the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device import board

if TYPE_CHECKING:
    from pathlib import Path


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_a_raspberry_pi(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "54322\n")
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert board.temperature_celsius(tmp_path) == 54.322
    assert board.throttled(tmp_path) == ("under-voltage", "throttled", "under-voltage before", "throttled before")


def test_a_board_that_tells_nothing(tmp_path: Path) -> None:
    assert board.temperature_celsius(tmp_path) is None
    assert board.throttled(tmp_path) is None
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "hot\n")
    assert board.temperature_celsius(tmp_path) is None
