"""Removes from a microphone's sound what the device's own speaker plays."""

from __future__ import annotations

from array import array
from typing import Protocol

from livekit import rtc

from device.media.block import SAMPLE_BYTES, SAMPLE_RATE

_FRAME_SAMPLES = SAMPLE_RATE // 100  # what AudioProcessingModule takes
_SILENCE = bytes(_FRAME_SAMPLES * SAMPLE_BYTES)
_UNUSED_FRAMES = 2  # after a pause its filters return old sound and swing


class Echo(Protocol):
    """What the speaker plays, as one microphone needs it."""

    lead_us: int

    def at(self, captured_at_us: int) -> bytes | None:
        """Return 10 ms, mono, that are heard `lead_us` after a frame was captured; None if nothing is to be removed."""

    def ducks(self, captured_at_us: int) -> bool:
        """Return whether the microphone has to be silent instead."""


class EchoCanceller:
    """An AudioProcessingModule that works only while the speaker plays something.

    It is kept with what it has learned about the room. Its sound is 9 ms late: it is faded in and out.
    """

    def __init__(self, frame: rtc.AudioFrame) -> None:
        self._frame = frame
        self._module = rtc.AudioProcessingModule(echo_cancellation=True)
        self._played = bytearray(_SILENCE)
        self._reverse = rtc.AudioFrame(self._played, SAMPLE_RATE, 1, _FRAME_SAMPLES)
        self._lead_us = -1
        self._frames = 0  # since it was last used

    def cancel(self, played: bytes | None, *, lead_us: int) -> None:
        """Remove what is `played`, 10 ms of mono, from the frame. None: nothing is to be removed any more."""
        if played is None:
            if self._frames > _UNUSED_FRAMES:
                captured = self._process(_SILENCE, lead_us)
                self._frame.data[:] = _faded(self._present(), captured)
            self._frames = 0
            return
        captured = self._process(played, lead_us)
        if self._frames < _UNUSED_FRAMES:
            self._frame.data[:] = captured
        elif self._frames == _UNUSED_FRAMES:
            self._frame.data[:] = _faded(captured, self._present())
        self._frames += 1

    def _process(self, played: bytes, lead_us: int) -> array[int]:
        """Process the frame; return what it was before."""
        captured = self._present()
        self._played[:] = played
        self._module.process_reverse_stream(self._reverse)
        if lead_us != self._lead_us:
            self._lead_us = lead_us
            self._module.set_stream_delay_ms(lead_us // 1000)
        self._module.process_stream(self._frame)
        return captured

    def _present(self) -> array[int]:
        return array("h", self._frame.data.tobytes())


def _faded(first: array[int], then: array[int]) -> array[int]:
    """Return sound that begins as `first` and ends as `then`."""
    length = len(first)
    return array(
        "h", ((a * (length - at) + b * at) // length for at, (a, b) in enumerate(zip(first, then, strict=True)))
    )
