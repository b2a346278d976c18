"""Several cameras on one slow link: the SDK's target for each of them, and what each sends."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import device
from tests.faults.recovery import first_picture
from tests.support.clips import clip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.ground import Ground

_LINK_KBPS, _SETTLED_S, _EACH_S = 1200, 12.0, 15.0
_CEILING_BPS, _SMALL_CEILING_BPS = 2_000_000, 150_000
# The two cameras are logged at different moments, and targets change all the time.
_DIFFERENCE = 1 / 3
_FILM = {"SOURCE": "file", "PATH": clip("bigbuckbunny.mp4"), "WIDTH": "640", "HEIGHT": "360", "FPS": "15"}
_CEILINGS = {"CAMERA": _CEILING_BPS, "CAMERAS__GARDEN": _CEILING_BPS, "CAMERAS__YARD": _SMALL_CEILING_BPS}
_CAMERAS = {
    f"DEVICE_{table}__{key}": value
    for table, ceiling in _CEILINGS.items()
    for key, value in (_FILM | {"BITRATE_MAX_BPS": str(ceiling)}).items()
}


def _means(one: Device, key: str) -> dict[str, float]:
    """Return the mean of a field of `camera.sent` by track, over the last seconds."""
    lines = [(datetime.fromisoformat(line["time"]).timestamp(), line) for line in one.since((0, 0), "camera.sent")]
    found = defaultdict(list)
    for at, line in lines:
        if at >= lines[-1][0] - _EACH_S:
            found[line["track"]].append(float(line[key]))
    return {name: fmean(values) for name, values in found.items()}


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("quiet")
def test_cameras_share_a_slow_link(ground: Ground, tmp_path: Path) -> None:
    async def scenario() -> tuple[dict[str, float], dict[str, float]]:
        variables = _CAMERAS | {"DEVICE_LOG__LEVEL": "debug"}
        async with device(ground.network, [ground.server], tmp_path, **variables) as one:
            ground.network.police(_LINK_KBPS)
            one.start()
            await first_picture(one)
            await asyncio.sleep(_SETTLED_S + _EACH_S)
            return _means(one, "target_bps"), _means(one, "sent_bps")

    targets, sent = ground.run(scenario())
    alike = targets["camera"], targets["garden"]
    ground.table.record(
        f"3 cameras on {_LINK_KBPS} kbit/s, the third one limited to {_SMALL_CEILING_BPS // 1000} kbit/s",
        {
            "times": 1,
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": "; ".join(
                f"{name}: target {targets[name] / 1000:.0f}, sent {sent[name] / 1000:.0f} kbit/s"
                for name in sorted(targets)
            ),
        },
        must="two cameras with the same settings get the same target, within a third; the third one its maximum",
        ok=abs(alike[0] - alike[1]) <= _DIFFERENCE * fmean(alike) and targets["yard"] > _SMALL_CEILING_BPS / 2,
    )
