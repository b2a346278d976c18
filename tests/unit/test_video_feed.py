"""Access units into the SDK, below its public surface and by it: both send the same requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiRequest, FfiResponse

from device import native_sdk
from device.media.picture import AccessUnit
from device.native_sdk.video import NativeVideoFeed
from device.tracks.video_feed import PublicVideoFeed, VideoFeed, video_feed

UNITS = (
    AccessUnit(payload=b"\0\0\0\1\x67 key", key=True, width=320, height=180, number=0, captured_at_us=1),
    AccessUnit(
        payload=b"\0\0\0\1\x41" + bytes(9000), key=False, width=320, height=180, number=1, captured_at_us=34_000
    ),
    AccessUnit(payload=b"\0\0\0\1\x67 other size", key=True, width=160, height=90, number=2, captured_at_us=67_000),
)
NOTHING = rtc.EncodedVideoSourceFeedback(keyframe_requested=False, rate_control=None)


class Answering:
    """Instead of the native library: keeps requests, and gives answers."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.accepted = True
        self.feedback = NOTHING

    def call(self, request: bytes) -> bytes:
        self.requests.append(request)
        response = FfiResponse()
        if FfiRequest.FromString(request).WhichOneof("message") == "capture_encoded_video_frame":
            response.capture_encoded_video_frame.accepted = self.accepted
            return response.SerializeToString()
        answer = response.take_encoded_video_source_feedback
        answer.keyframe_requested = self.feedback.keyframe_requested
        if self.feedback.rate_control is not None:
            answer.rate_control.target_bitrate_bps = self.feedback.rate_control.target_bitrate_bps
            answer.rate_control.framerate_fps = self.feedback.rate_control.framerate_fps
        return response.SerializeToString()


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Return what answers all requests to the library from now on."""
    found, library = Answering(), native_sdk.library()
    assert library is not None
    monkeypatch.setattr(library, "call", found.call)
    monkeypatch.setattr(
        FfiClient, "request", lambda _self, request: FfiResponse.FromString(found.call(request.SerializeToString()))
    )
    return found


@pytest.fixture
def source() -> rtc.EncodedVideoSource:
    return rtc.EncodedVideoSource(320, 180)


def below(source: rtc.EncodedVideoSource) -> VideoFeed:
    feed = video_feed(source)
    assert isinstance(feed, NativeVideoFeed)
    return feed


def test_both_ways_send_the_same_requests(source: rtc.EncodedVideoSource, native: Answering) -> None:
    sent = []
    for feed in (below(source), PublicVideoFeed(source)):
        native.requests.clear()
        for unit in UNITS:
            assert feed.capture(unit, user_timestamp=1_700_000_000_000_000 + unit.captured_at_us)
            assert feed.take_feedback() == NOTHING
        sent.append([FfiRequest.FromString(each) for each in native.requests])
    assert sent[0] == sent[1]


def test_both_ways_return_each_answer(source: rtc.EncodedVideoSource, native: Answering) -> None:
    rate = rtc.EncodedRateControl(target_bitrate_bps=500_000, framerate_fps=30.0)
    answers: list[tuple[Any, ...]] = [
        (True, NOTHING),
        (False, rtc.EncodedVideoSourceFeedback(keyframe_requested=True, rate_control=None)),
        (True, rtc.EncodedVideoSourceFeedback(keyframe_requested=True, rate_control=rate)),
        (True, rtc.EncodedVideoSourceFeedback(keyframe_requested=True, rate_control=rate)),
        (False, NOTHING),
        (True, NOTHING),
    ]
    for feed in (below(source), PublicVideoFeed(source)):
        for accepted, feedback in answers:
            native.accepted, native.feedback = accepted, feedback
            assert feed.capture(UNITS[0], user_timestamp=1) is accepted
            assert feed.take_feedback() == feedback


@pytest.mark.parametrize("wrong", ({"payload": b""}, {"width": 0}, {"height": 0}))
def test_both_ways_refuse_what_is_no_picture(source: rtc.EncodedVideoSource, wrong: dict[str, Any]) -> None:
    for feed in (below(source), PublicVideoFeed(source)):
        with pytest.raises(ValueError, match=r"access unit|empty|positive"):
            feed.capture(replace(UNITS[0], **wrong), user_timestamp=1)


def test_the_real_library_takes_what_is_fed_below_its_surface(source: rtc.EncodedVideoSource) -> None:
    answers = [
        [feed.capture(unit, user_timestamp=1) for unit in UNITS] for feed in (below(source), PublicVideoFeed(source))
    ]
    assert answers[0] == answers[1]
    assert below(source).take_feedback() == PublicVideoFeed(source).take_feedback()


def test_an_unknown_sdk_is_fed_by_its_public_functions(
    source: rtc.EncodedVideoSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_sdk, "library", lambda: None)
    assert isinstance(video_feed(source), PublicVideoFeed)
