"""The times of the units that the video track feeds to the SDK."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from device.media.picture import AccessUnit
from device.tracks import video
from device.tracks.video import VideoTrack
from tests.unit.workers.watched import CAMERA


class Feed:
    """Takes units as the SDK does, and keeps their times."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.wanted = 0
        self.all_fed = asyncio.Event()

    def capture(self, unit: AccessUnit, *, user_timestamp: int) -> bool:
        assert user_timestamp
        self.times.append(unit.captured_at_us)
        if len(self.times) == self.wanted:
            self.all_fed.set()
        return True

    def take_feedback(self) -> rtc.EncodedVideoSourceFeedback:
        return rtc.EncodedVideoSourceFeedback(keyframe_requested=False, rate_control=None)


@pytest.mark.parametrize(
    ("captured", "fed"),
    (
        ((5_000_000, 5_033_000), [5_000_000, 5_033_000]),
        ((5_000_000, 5_000_400, 5_033_000), [5_000_000, 5_001_000, 5_033_000]),
        ((5_000_000, 4_990_000, 4_995_000), [5_000_000, 5_001_000, 5_002_000]),
        ((5_000_000, 3_000_000), [5_000_000, 3_000_000]),  # another clock
    ),
)
def test_no_two_units_reach_a_decoder_as_one_picture(
    captured: tuple[int, ...], fed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed()
    feed.wanted = len(captured)
    monkeypatch.setattr(video, "video_feed", lambda _source: feed)

    async def scenario() -> None:
        track = VideoTrack("camera", CAMERA, send=lambda _request: None)
        try:
            for number, at_us in enumerate(captured):
                track.deliver(
                    AccessUnit(payload=b"\0\0\1", key=True, width=8, height=8, number=number, captured_at_us=at_us)
                )
            async with asyncio.timeout(5):
                await feed.all_fed.wait()
        finally:
            await track.aclose()

    asyncio.run(scenario())
    assert feed.times == fed
