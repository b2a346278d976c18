"""What the tracks get of each sample: what nobody watches is not sent, and not missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from device.ipc.messages import ForceKeyFrame
from device.room.track_samples import give_sample
from device.telemetry.sampler import Sample
from device.telemetry.transport_stats import TransportStats
from device.tracks.video import VideoTrack
from tests.unit.workers.watched import CAMERA

if TYPE_CHECKING:
    from collections.abc import Callable


def sample(*, fed: int, sent: int, active: bool) -> Sample:
    """Return what the sampler makes of a Room in which only what is watched is sent."""
    stats = TransportStats(responses=1, sent={"camera": sent}, active={"camera": active})
    return Sample(stats=stats, fed={"camera": fed} if active else {}, at=0.0)


def missed(scenario: Callable[[VideoTrack, Callable[..., None]], None]) -> tuple[list[Any], int]:
    """Return the counts of lost units that were logged, and how many key frames were asked for."""
    requests: list[object] = []

    async def run() -> None:
        track = VideoTrack("camera", CAMERA, send=requests.append)

        def second(*, sent: int, active: bool = True) -> None:
            track.fed += 30
            give_sample(sample(fed=track.fed, sent=sent, active=active), [track])

        try:
            scenario(track, second)
        finally:
            await track.aclose()

    with capture_logs() as lines:
        asyncio.run(run())
    lost = [line["units"] for line in lines if line["event"] == "camera.units_lost"]
    return lost, sum(isinstance(each, ForceKeyFrame) for each in requests)


def test_units_that_were_not_sent_because_nobody_watches_are_not_lost() -> None:
    def scenario(_track: VideoTrack, second: Callable[..., None]) -> None:
        sent = 0
        for _ in range(3):
            for _ in range(6):
                sent += 30
                second(sent=sent)
            for _ in range(10):
                second(sent=sent, active=False)
            second(sent=sent + 20)  # active again for a part of this second
            sent += 20

    assert missed(scenario) == ([], 0)


def test_units_that_were_lost_on_the_way_to_viewers_are_lost() -> None:
    def scenario(_track: VideoTrack, second: Callable[..., None]) -> None:
        for number in range(6):
            second(sent=30 * number + 30)
        second(sent=180, active=False)
        for number in range(12):
            second(sent=210 + 30 * number - (7 if number >= 6 else 0))

    assert missed(scenario)[0] == [7]
