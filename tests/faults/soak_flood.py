"""`make soak`: participants that may control the device call it 1000 times a second. `make faults` has fewer calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.flooded_device import flood_device, record
from tests.support.flood import CALLER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.ground import Ground

_LEAST_RATE = 950.0
_ANSWERS = "0", "429"  # others are of the caller's SDK, such as 1501: no acknowledgement within 7 s


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("quiet")
def test_1000_calls_a_second(ground: Ground, tmp_path: Path) -> None:
    found = flood_device(ground, tmp_path, command=[CALLER.binary()])
    unanswered = {code: count for code, count in found.calls.codes.items() if code not in _ANSWERS}
    record(
        ground,
        found,
        must=f"at least {_LEAST_RATE:g} calls a second, each answered",
        ok=found.calls.rate >= _LEAST_RATE and not unanswered,
        more=f", {sum(unanswered.values())} not answered ({', '.join(sorted(unanswered))})" if unanswered else "",
    )
