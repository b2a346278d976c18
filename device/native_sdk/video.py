"""Feeds encoded video with less work than the SDK's own functions."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from livekit import rtc
from livekit.rtc._proto.ffi_pb2 import FfiRequest, FfiResponse

if TYPE_CHECKING:
    from device.media.picture import AccessUnit
    from device.native_sdk import NativeLibrary

_KEY, _DELTA = rtc.EncodedFrameType.ENCODED_FRAME_KEY, rtc.EncodedFrameType.ENCODED_FRAME_DELTA


class NativeVideoFeed:
    """Feeds one source as `EncodedVideoSource` does, with requests that are kept, and answers that are known."""

    def __init__(self, source: rtc.EncodedVideoSource, adopted: NativeLibrary) -> None:
        self._source = source  # its handle must live as long as this
        self._call = adopted.call
        handle = source._ffi_handle.handle  # noqa: SLF001
        self._request = FfiRequest()
        self._capture = self._request.capture_encoded_video_frame
        self._capture.source_handle, self._capture.codec = handle, rtc.VideoCodec.H264
        ask = FfiRequest()
        ask.take_encoded_video_source_feedback.source_handle = handle
        self._ask = ask.SerializeToString()
        self._accepted = self._answer = b""
        self._feedback = rtc.EncodedVideoSourceFeedback(keyframe_requested=False, rate_control=None)

    def capture(self, unit: AccessUnit, *, user_timestamp: int) -> bool:
        """Feed one access unit; return whether the SDK has taken it. The SDK copies it."""
        capture, payload = self._capture, unit.payload
        if not (payload and unit.width and unit.height):  # the SDK's own check; the native library has none
            raise ValueError("an access unit needs bytes and a size")
        capture.buffer.data_ptr = ctypes.cast(ctypes.c_char_p(payload), ctypes.c_void_p).value or 0
        capture.buffer.data_len = len(payload)
        capture.frame_type = _KEY if unit.key else _DELTA
        capture.width, capture.height, capture.timestamp_us = unit.width, unit.height, unit.captured_at_us
        capture.metadata.user_timestamp, capture.metadata.frame_id = user_timestamp, unit.number
        answer = self._call(self._request.SerializeToString())
        if answer == self._accepted:
            return True
        accepted = bool(FfiResponse.FromString(answer).capture_encoded_video_frame.accepted)
        if accepted:
            self._accepted = answer
        return accepted

    def take_feedback(self) -> rtc.EncodedVideoSourceFeedback:
        """Return the feedback since the last call."""
        answer = self._call(self._ask)
        if answer != self._answer:
            feedback = FfiResponse.FromString(answer).take_encoded_video_source_feedback
            rate = None
            if feedback.HasField("rate_control"):
                target = feedback.rate_control
                rate = rtc.EncodedRateControl(
                    target_bitrate_bps=target.target_bitrate_bps, framerate_fps=target.framerate_fps
                )
            self._answer = answer
            self._feedback = rtc.EncodedVideoSourceFeedback(feedback.keyframe_requested, rate)
        return self._feedback
