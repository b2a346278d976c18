"""The device's old connection after its daemon was killed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import device
from tests.faults.figures import NEVER, Figures
from tests.faults.fleet import Measured
from tests.faults.moments import Moment
from tests.faults.plan import as_often
from tests.faults.recovery import first_picture, picture_after, sound_after

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.ground import Ground

_TIMES = as_often(20, short=10)
_PUBLISHED = "track:device:camera"
_STEADY_S, _WATCH_S, _ECHO_S = 2.0, 10.0, 0.5


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(300)
def test_daemon_killed_and_restarted(ground: Ground, tmp_path: Path) -> None:
    replaced = Figures()

    async def scenario() -> tuple[Measured, int]:
        measured = Measured()
        async with device(ground.network, [ground.server], tmp_path) as one:
            one.start()
            await first_picture(one)
            for _ in range(_TIMES):
                await one.viewer.until(lambda: one.full_rate(over_s=_STEADY_S), within_s=10)
                mark = one.mark()
                one.kill()
                one.start()
                moment = Moment(at=one.started_at, epoch_us=Moment.now().epoch_us)
                measured.video.seconds.append(await picture_after(one, moment, within_s=30))
                published = (at for event, at in one.viewer.events if event == _PUBLISHED and at > one.started_at)
                replaced.seconds.append(next(published, NEVER) - one.started_at)
                # Sound on its way is heard for some 100 ms.
                heard_s = await sound_after(one, one.started_at + _ECHO_S, within_s=10)
                measured.audio.seconds.append(_ECHO_S + heard_s)
                measured.events += one.events(mark)
            last, pictures = one.mark(), len(one.viewer.pictures)
            await asyncio.sleep(_WATCH_S)
            assert len(one.viewer.pictures) > pictures
            return measured, len(one.since(last, "room.left")) + measured.events["room.left(DUPLICATE_IDENTITY)"]

    measured, evictions = ground.run(scenario())
    ground.record(
        "daemon SIGKILL and restarted at once (since the process began)",
        measured,
        must="old publication replaced <= 2 s, picture <= 3 s; never evicted by its own ghost",
        ok=replaced.worst <= 2 and measured.video.worst <= 3 and not evictions,
        longest_gap=f"replaced after {replaced}; {evictions} evictions",
    )
