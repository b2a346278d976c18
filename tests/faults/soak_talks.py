"""`make soak`: 200 talkers, one after the other, who join, talk for a second and leave. SOAK_TIMES bounds how many."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import SILENT, device
from tests.faults.footprint import Footprint
from tests.faults.plateau import Course
from tests.faults.recovery import first_picture, until_logged
from tests.faults.rejoins import QUICK
from tests.support.sound_card import SoundCard
from tests.support.talker import talking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.ground import Ground

_TALKS = min(int(os.environ.get("SOAK_TIMES", "1000")), 200)
_WITHIN_S = 30.0
_TALK_S, _APART_S = 1.0, 0.5
# A subscription that the SDK does not free leaves 70 KB (rust-sdks 1378).
_SLOPE_KB, _GROWN = 20.0, 2.0
_ENOUGH = 100
_EACH_S = 6


@pytest.mark.timeout(_TALKS * _EACH_S + 120)
def test_talks(ground: Ground, tmp_path: Path) -> None:
    async def scenario() -> Course:
        card, course = SoundCard(tmp_path), Course()
        variables = card.variables | {"DEVICE_SPEAKER__ALLOW": '["ops-*"]', "DEVICE_WATCH__MEMORY_MB": "0"}
        async with device(ground.network, [ground.server], tmp_path, **(SILENT | QUICK | variables)) as one:
            one.start()
            await first_picture(one)
            for number in range(_TALKS):
                mark = one.mark()
                async with talking(ground.server, one.room, identity=f"ops-{number}"):
                    heard = await until_logged(one, mark, "speaker.talker", within_s=_WITHIN_S, heard=[f"ops-{number}"])
                    assert heard, one.daemon.text[-10:]
                    await asyncio.sleep(_TALK_S)
                assert await until_logged(one, mark, "speaker.talker", within_s=_WITHIN_S, heard=[])
                await asyncio.sleep(_APART_S)
                course.samples.append(Footprint.of(one.daemon.pid))
        return course

    course = ground.run(scenario())
    found = course.slope_kb()
    ground.table.record(
        f"{_TALKS} talkers, who join, talk for {_TALK_S:g} s and leave",
        {
            "times": _TALKS,
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": f"RSS {found:+.1f} KB each, threads {course.more_threads():+g}, descriptors "
            f"{course.more_descriptors():+g} in the second half; {course.text()}",
        },
        must=f"in the second half: RSS <= {_SLOPE_KB:g} KB each, threads and descriptors +{_GROWN:g} at most",
        ok=found <= _SLOPE_KB and course.more_threads() <= _GROWN and course.more_descriptors() <= _GROWN,
        excuse=f"only {_TALKS} times" if _TALKS < _ENOUGH else "",
    )
