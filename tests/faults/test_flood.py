"""Participants that may control the device, and call it far more often than they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.flooded_device import flood_device, record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.ground import Ground


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("quiet")
def test_flood_of_calls(ground: Ground, tmp_path: Path) -> None:
    found = flood_device(ground, tmp_path)
    assert set(found.calls.codes) == {"0", "429"}
    record(ground, found, must="each call answered", ok=True)
