"""Feeds sound with less work than the SDK's own functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.rtc._proto.ffi_pb2 import FfiRequest

from device.native_sdk import OWN_CAPTURE

if TYPE_CHECKING:
    from livekit import rtc

    from device.native_sdk import NativeLibrary


class NativeSoundFeed:
    """Feeds one frame again and again, whose samples change in between: its request is always the same bytes."""

    def __init__(self, source: rtc.AudioSource, frame: rtc.AudioFrame, adopted: NativeLibrary) -> None:
        self._kept = source, frame  # handle and samples must live as long as this
        self._call = adopted.call
        request = FfiRequest()
        capture = request.capture_audio_frame
        capture.source_handle = source._ffi_handle.handle  # noqa: SLF001
        capture.buffer.CopyFrom(frame._proto_info())  # noqa: SLF001
        capture.request_async_id = OWN_CAPTURE
        self._request = request.SerializeToString()

    def capture(self) -> None:
        """Feed the frame's present samples. The SDK copies them."""
        self._call(self._request)
