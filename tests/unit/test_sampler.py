"""The sampler never ends by itself, and names the streams; in virtual time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from device.telemetry.sampler import Sample, Sampler
from tests.unit.test_transport_stats import entry, sender
from tests.unit.virtual_time import run_virtually

if TYPE_CHECKING:
    from livekit import rtc

STATISTICS = [
    entry("candidate_pair", rtc__id="P1", candidate_pair__responses_received=1, candidate_pair__nominated=True),
    *sender(1, "video", sent=100, lost=0.0, reported_at_us=1_000_000),
]


class FakeTrack:
    """A published track; the first `failures` questions about it fail, as while it is unpublished."""

    def __init__(self, *, failures: int = 0) -> None:
        self.fed = 7
        self.track: Any = self
        self.name = "front"
        self.asked = 0
        self._failures = failures

    async def get_stats(self) -> list[Any]:
        self.asked += 1
        if self.asked <= self._failures:
            raise Exception("track not published")  # noqa: TRY002 - what the SDK raises
        return STATISTICS


class FakeRoom:
    """Answers at once; at the numbers in `fails` it is not connected, at those in `hangs` it does not answer."""

    def __init__(self, *, fails: tuple[int, ...] = (), hangs: tuple[int, ...] = ()) -> None:
        self.asked_at: list[float] = []
        self._fails, self._hangs = fails, hangs

    async def get_rtc_stats(self) -> Any:
        number = len(self.asked_at)
        self.asked_at.append(round(asyncio.get_running_loop().time() - 1000, 2))
        if number in self._hangs:
            await asyncio.Event().wait()
        if number in self._fails:
            raise RuntimeError("the room isn't connected")
        return SimpleNamespace(publisher_stats=STATISTICS)


def samples(room: FakeRoom, track: FakeTrack, *, until_s: float, closely_from_s: float = 1e9) -> list[Sample]:
    found: list[Sample] = []

    async def main() -> None:
        sampler = Sampler(cast("rtc.Room", room), lambda: [track])
        sampler.listeners.append(found.append)
        running = asyncio.create_task(sampler.run())
        asyncio.get_running_loop().call_at(1000 + closely_from_s, lambda: sampler.sample_closely(True))  # noqa: FBT003
        await asyncio.sleep(until_s)
        assert not running.done()
        running.cancel()

    run_virtually(main)
    return found


def test_a_room_is_sampled_once_a_second_and_four_times_when_asked() -> None:
    room = FakeRoom()
    samples(room, FakeTrack(), until_s=3.9, closely_from_s=3.1)
    assert room.asked_at == [0, 1, 2, 3, 3.25, 3.5, 3.75]


def test_streams_are_named_and_the_track_is_asked_once() -> None:
    track = FakeTrack()
    found = samples(FakeRoom(), track, until_s=3.5)
    assert [(each.stats.sent, each.fed) for each in found] == [({"front": 100}, {"front": 7})] * 4
    assert track.asked == 1


def test_a_track_that_is_just_unpublished_is_asked_again() -> None:
    track = FakeTrack(failures=2)
    found = samples(FakeRoom(), track, until_s=3.5)
    assert [each.stats.sent for each in found] == [{}, {}, {"front": 100}, {"front": 100}]
    assert all(each.stats.responses for each in found)


def test_a_sample_that_is_not_answered_is_left_out() -> None:
    room = FakeRoom(fails=(1,), hangs=(2,))
    assert len(samples(room, FakeTrack(), until_s=5.5)) == len(room.asked_at) - 2
