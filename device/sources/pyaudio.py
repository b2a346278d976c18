"""Microphones, through PyAudio and PortAudio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.clock import monotonic_us
from device.errors import SourceError
from device.media.block import BLOCK_MS, SAMPLE_RATE, Block
from device.sources.portaudio import PortAudioDevice, chosen, error_text, int16, listed, open_portaudio, to_stereo
from device.sources.resampling import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_US = 1_000_000
_LEAST_GAP_US = 2 * BLOCK_MS * 1000  # less is a late wake-up


class PyAudioSource:
    """Blocks of 20 ms at 48 kHz, for any native rate of the device."""

    name = "pyaudio"

    def __init__(self, *, device: str, channels: int, on_overflow: Callable[[int], None]) -> None:
        self._audio = open_portaudio("microphone")
        self._on_overflow = on_overflow
        self.overflows = 0
        self._due_us = 0
        self.microphone = choose(microphones(self._audio), device)
        self._opened = min(channels, self.microphone.channels)
        self._channels = channels
        self.rate = SAMPLE_RATE if self._supports(SAMPLE_RATE) else self.microphone.rate
        self._frames = self.rate * BLOCK_MS // 1000
        # Before the stream opens: loading FFmpeg takes a quarter of a second, and blocks would be late.
        self._resampler = Resampler(rate=self.rate, channels=channels)
        self._resampling = self.rate != SAMPLE_RATE
        try:
            self._stream = self._audio.open(
                format=int16(),
                channels=self._opened,
                rate=self.rate,
                input=True,
                input_device_index=self.microphone.index,
                frames_per_buffer=self._frames,
            )
        except (OSError, ValueError) as error:
            raise SourceError(
                f"microphone {self.microphone.name!r} cannot be opened at {self.rate} Hz with "
                f"{self._opened} channels: {error_text(error)}; look at `fuser -v /dev/snd/*`",
                for_viewers="the microphone cannot be opened",
            ) from error
        self._gap_us = max(_LEAST_GAP_US, round(self._stream.get_input_latency() * _US))

    def pace(self, ppm: float) -> None:
        """Correct the device's clock, which is faster than ours by this many parts per million."""
        self._resampler.pace(ppm)
        self._resampling = True

    def blocks(self) -> Iterator[Block]:
        """Yield blocks without end. Raises SourceError when the device is disconnected."""
        while True:
            try:
                # PyAudio closes a stream before it raises. Without an exception PortAudio goes on after a gap.
                samples = self._stream.read(self._frames, exception_on_overflow=False)
                waiting = max(0, self._stream.get_read_available())  # an error of PortAudio is below zero
            except OSError as error:
                raise SourceError(
                    f"microphone {self.microphone.name!r} was disconnected: {error_text(error)}",
                    for_viewers="the microphone was disconnected",
                ) from error
            captured_at_us = monotonic_us() - (waiting + self._frames) * _US // self.rate
            self._notice_gap(captured_at_us)
            samples = to_stereo(samples) if self._opened < self._channels else samples
            if self._resampling:
                captured_at_us -= self._resampler.held_us
                samples = self._resampler.process(samples)
            if samples:
                yield Block(samples=samples, captured_at_us=captured_at_us)

    def _notice_gap(self, captured_at_us: int) -> None:
        """Count an overflow if at least a whole buffer of sound is missing before this block: PyAudio does not say."""
        if self._due_us and captured_at_us - self._due_us >= self._gap_us:
            self.overflows += 1
            self._on_overflow(self.overflows)
        self._due_us = captured_at_us + BLOCK_MS * 1000

    def _supports(self, rate: int) -> bool:
        try:
            return bool(
                self._audio.is_format_supported(
                    rate,
                    input_device=self.microphone.index,
                    input_channels=self._opened,
                    input_format=int16(),
                )
            )
        except ValueError:
            return False


def microphones(audio: Any = None) -> list[PortAudioDevice]:
    """Return every input that PortAudio lists; it does not list one that another program uses."""
    return listed(audio or open_portaudio("microphone"), inputs=True)


def choose(found: list[PortAudioDevice], wanted: str) -> PortAudioDevice:
    """Return the microphone that `wanted` names. Raises SourceAbsentError, which lists the microphones."""
    return chosen(found, wanted, kind="microphone", lister="arecord -l")
