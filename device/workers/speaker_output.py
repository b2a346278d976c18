"""Speakers, through PyAudio and PortAudio: blocking writes, which the process ends if they hang."""

from __future__ import annotations

from typing import Any

from device.errors import SourceError
from device.ipc.media_messages import PLAYED_MS
from device.media.block import SAMPLE_RATE
from device.sources.portaudio import PortAudioDevice, chosen, error_text, int16, listed, open_portaudio, to_stereo
from device.sources.resampling import Resampler

_MONO, _STEREO = 1, 2


class PyAudioOutput:
    """Plays mono sound at 48 kHz on a device of any rate."""

    name = "pyaudio"

    def __init__(self, *, device: str) -> None:
        self._audio = open_portaudio("speaker")
        self.speaker = chosen(speakers(self._audio), device, kind="speaker", lister="aplay -l")
        self.channels = _MONO if self._supports(SAMPLE_RATE, _MONO) else min(_STEREO, self.speaker.channels)
        self.rate = SAMPLE_RATE if self._supports(SAMPLE_RATE, self.channels) else self.speaker.rate
        # Before the stream opens, and not when the clock has to be steered: loading FFmpeg takes a quarter of a second.
        self._resampler = Resampler(rate=SAMPLE_RATE, channels=_MONO, output_rate=self.rate)
        self._resampling = self.rate != SAMPLE_RATE
        try:
            self._stream = self._audio.open(
                format=int16(),
                channels=self.channels,
                rate=self.rate,
                output=True,
                output_device_index=self.speaker.index,
                frames_per_buffer=self.rate * PLAYED_MS // 1000,
            )
        except (OSError, ValueError) as error:
            raise SourceError(
                f"speaker {self.speaker.name!r} cannot be opened at {self.rate} Hz with {self.channels} channels: "
                f"{error_text(error)}; look at `fuser -v /dev/snd/*`",
                for_viewers="the speaker cannot be opened",
            ) from error

    @property
    def latency_ms(self) -> float:
        """How long sound takes from a write to the speaker, as PortAudio says, and what the resampler holds."""
        held_ms = self._resampler.held_us / 1000 if self._resampling else 0.0
        return float(self._stream.get_output_latency()) * 1000 + held_ms

    def pace(self, ppm: float) -> None:
        """Play this much faster, in parts per million, because the sound comes faster than the device plays it."""
        self._resampler.pace(ppm)
        self._resampling = True

    def write(self, samples: bytes) -> None:
        """Play samples; blocks until the device takes them. Raises SourceError when it is disconnected."""
        samples = self._resampler.process(samples) if self._resampling else samples
        if not samples:
            return
        try:
            # PyAudio closes a stream before it raises. Without an exception PortAudio goes on after a gap.
            self._stream.write(samples if self.channels == _MONO else to_stereo(samples), exception_on_underflow=False)
        except OSError as error:
            raise SourceError(
                f"speaker {self.speaker.name!r} was disconnected: {error_text(error)}",
                for_viewers="the speaker was disconnected",
            ) from error

    def _supports(self, rate: int, channels: int) -> bool:
        try:
            return bool(
                self._audio.is_format_supported(
                    rate, output_device=self.speaker.index, output_channels=channels, output_format=int16()
                )
            )
        except ValueError:
            return False


def speakers(audio: Any = None) -> list[PortAudioDevice]:
    """Return every output that PortAudio lists; it does not list one that another program uses."""
    return listed(audio or open_portaudio("speaker"), inputs=False)
