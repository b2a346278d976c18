"""The times of the units that the video track feeds to the SDK."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from device.clock import monotonic_us
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
        ((0, 33_000), [0, 33_000]),
        ((0, 400, 33_000), [0, 1_000, 33_000]),
        ((0, -10_000, -5_000), [0, 1_000, 2_000]),
    ),
)
def test_no_two_units_reach_a_decoder_as_one_picture(
    captured: tuple[int, ...], fed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times are microseconds after now."""
    began_us = monotonic_us()
    feed = Feed()
    feed.wanted = len(captured)
    monkeypatch.setattr(video, "video_feed", lambda _source: feed)

    async def scenario() -> None:
        track = VideoTrack("camera", CAMERA, send=lambda _request: None)
        try:
            for number, at_us in enumerate(captured):
                track.deliver(
                    AccessUnit(
                        payload=b"\0\0\1", key=True, width=8, height=8, number=number, captured_at_us=began_us + at_us
                    )
                )
            async with asyncio.timeout(5):
                await feed.all_fed.wait()
        finally:
            await track.aclose()

    asyncio.run(scenario())
    assert [at_us - began_us for at_us in feed.times] == fed
