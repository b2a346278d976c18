"""Feeds frames of sound to an audio source, without waiting for the SDK's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from device import native_sdk

if TYPE_CHECKING:
    from livekit import rtc


class SoundFeed(Protocol):
    """Calls of the SDK that take microseconds and do not block."""

    def capture(self) -> None:
        """Feed the frame's present samples. The SDK has copied them when this returns."""


def sound_feed(source: rtc.AudioSource, frame: rtc.AudioFrame) -> SoundFeed:
    """Return what feeds a frame to a source: with an SDK that is not known, its public function."""
    adopted = native_sdk.library()
    if adopted is None:
        return PublicSoundFeed(source, frame)
    from device.native_sdk.audio import NativeSoundFeed  # it needs this SDK's messages

    return NativeSoundFeed(source, frame, adopted)


class PublicSoundFeed:
    """Feeds a source by its public function."""

    def __init__(self, source: rtc.AudioSource, frame: rtc.AudioFrame) -> None:
        self._source, self._frame = source, frame

    def capture(self) -> None:
        """Feed the frame's present samples."""
        # Its first step sends the request; the rest waits for an event, which costs a wake-up and says nothing.
        capture = self._source.capture_frame(self._frame)
        try:
            capture.send(None)
        finally:
            capture.close()
