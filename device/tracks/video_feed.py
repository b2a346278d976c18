"""Feeds access units to an encoded video source, and takes its feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from livekit import rtc

from device import native_sdk

if TYPE_CHECKING:
    from device.media.picture import AccessUnit


class VideoFeed(Protocol):
    """Calls of the SDK that take microseconds and do not block."""

    def capture(self, unit: AccessUnit, *, user_timestamp: int) -> bool:
        """Feed one access unit; return whether the SDK has taken it."""

    def take_feedback(self) -> rtc.EncodedVideoSourceFeedback:
        """Return the feedback since the last call."""


def video_feed(source: rtc.EncodedVideoSource) -> VideoFeed:
    """Return what feeds a source: with an SDK that is not known, its public functions."""
    adopted = native_sdk.library()
    if adopted is None:
        return PublicVideoFeed(source)
    from device.native_sdk.video import NativeVideoFeed  # it needs this SDK's messages

    adopted.lower_bitrate_when_congested()
    return NativeVideoFeed(source, adopted)


class PublicVideoFeed:
    """Feeds a source by its public functions."""

    def __init__(self, source: rtc.EncodedVideoSource) -> None:
        self._source = source
        self.take_feedback = source.take_feedback

    def capture(self, unit: AccessUnit, *, user_timestamp: int) -> bool:
        """Feed one access unit; return whether the SDK has taken it."""
        return self._source.capture_frame(
            rtc.EncodedVideoFrame(
                data=unit.payload,
                width=unit.width,
                height=unit.height,
                codec=rtc.VideoCodec.H264,
                frame_type=rtc.EncodedFrameType.ENCODED_FRAME_KEY
                if unit.key
                else rtc.EncodedFrameType.ENCODED_FRAME_DELTA,
                timestamp_us=unit.captured_at_us,
                metadata=rtc.FrameMetadata(user_timestamp=user_timestamp, frame_id=unit.number),
            )
        )
