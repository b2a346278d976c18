"""Microphones, through PyAudio and PortAudio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device.clock import monotonic_us
from device.errors import SourceAbsentError, SourceError
from device.media.block import BLOCK_MS, SAMPLE_RATE, Block
from device.sources.resampling import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_US = 1_000_000
_BYTES_PER_SAMPLE = 2
_OVERFLOWED = -9981  # paInputOverflowed, portaudio.h
_INSTALL = "install PyAudio: `apt install python3-pyaudio`, or the extra: `pip install livekit-device[pi]`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Microphone:
    """One input device of PortAudio; `rate` is its native rate in Hz."""

    index: int
    name: str
    host: str
    channels: int
    rate: int
    default: bool


class PyAudioSource:
    """Blocks of 20 ms at 48 kHz, for any native rate of the device."""

    name = "pyaudio"

    def __init__(self, *, device: str, channels: int, on_overflow: Callable[[int], None]) -> None:
        self._audio = _open_portaudio()
        self._on_overflow = on_overflow
        self.overflows = 0
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
                format=_int16(),
                channels=self._opened,
                rate=self.rate,
                input=True,
                input_device_index=self.microphone.index,
                frames_per_buffer=self._frames,
            )
        except (OSError, ValueError) as error:
            raise SourceError(
                f"microphone {self.microphone.name!r} cannot be opened at {self.rate} Hz with "
                f"{self._opened} channels: {_error_text(error)}; look at `fuser -v /dev/snd/*`",
                for_viewers="the microphone cannot be opened",
            ) from error

    def pace(self, ppm: float) -> None:
        """Correct the device's clock, which is faster than ours by this many parts per million."""
        self._resampler.pace(ppm)
        self._resampling = True

    def blocks(self) -> Iterator[Block]:
        """Yield blocks without end. Raises SourceError when the device is disconnected."""
        while True:
            try:
                samples = self._stream.read(self._frames, exception_on_overflow=True)
                waiting = self._stream.get_read_available()
            except OSError as error:
                if error.errno == _OVERFLOWED or _OVERFLOWED in error.args:
                    self.overflows += 1
                    self._on_overflow(self.overflows)
                    continue
                raise SourceError(
                    f"microphone {self.microphone.name!r} was disconnected: {_error_text(error)}",
                    for_viewers="the microphone was disconnected",
                ) from error
            captured_at_us = monotonic_us() - (waiting + self._frames) * _US // self.rate
            samples = _to_stereo(samples) if self._opened < self._channels else samples
            if self._resampling:
                captured_at_us -= self._resampler.held_us
                samples = self._resampler.process(samples)
            if samples:
                yield Block(samples=samples, captured_at_us=captured_at_us)

    def _supports(self, rate: int) -> bool:
        try:
            return bool(
                self._audio.is_format_supported(
                    rate,
                    input_device=self.microphone.index,
                    input_channels=self._opened,
                    input_format=_int16(),
                )
            )
        except ValueError:
            return False


def microphones(audio: Any = None) -> list[Microphone]:
    """Return every input that PortAudio lists; it does not list one that another program uses."""
    audio = audio or _open_portaudio()
    try:
        default = audio.get_default_input_device_info()["index"]
    except OSError:
        default = -1
    found = []
    for index in range(audio.get_device_count()):
        info = audio.get_device_info_by_index(index)
        if info["maxInputChannels"] > 0:
            found.append(
                Microphone(
                    index=index,
                    name=str(info["name"]),
                    host=str(audio.get_host_api_info_by_index(info["hostApi"])["name"]),
                    channels=int(info["maxInputChannels"]),
                    rate=round(info["defaultSampleRate"]),
                    default=index == default,
                )
            )
    return found


def choose(found: list[Microphone], wanted: str) -> Microphone:
    """Return the first whose name contains `wanted`, in any letter case; empty means the default, else the first.

    Raises SourceAbsentError, which lists the microphones.
    """
    if not found:
        raise SourceAbsentError(
            "there is no microphone, or another program uses it; look at `arecord -l`",
            for_viewers="no microphone is connected",
        )
    if not wanted:
        return next((each for each in found if each.default), found[0])
    # Exact matches first: one name may be part of another.
    for matches in (str.__eq__, str.__contains__):
        for each in found:
            if matches(each.name.lower(), wanted.lower()):
                return each
    names = ", ".join(repr(each.name) for each in found)
    raise SourceAbsentError(
        f"no microphone's name holds {wanted!r}, or another program uses it; there are: {names}",
        for_viewers="this microphone is not connected",
    )


def _open_portaudio() -> Any:
    try:
        import pyaudio
    except ImportError as error:
        missing = error.name or "pyaudio"
        raise SourceError(
            f'microphone.source = "pyaudio" needs a library that is missing ({missing} cannot be imported); {_INSTALL}',
            for_viewers="a library for the microphone is missing",
        ) from error
    return pyaudio.PyAudio()


def _int16() -> int:
    import pyaudio

    return int(pyaudio.paInt16)


def _to_stereo(mono: bytes) -> bytes:
    """Return mono samples as stereo."""
    stereo = bytearray(2 * len(mono))
    for offset in range(_BYTES_PER_SAMPLE):
        stereo[offset::4] = stereo[offset + 2 :: 4] = mono[offset::2]
    return bytes(stereo)


# PaErrorCode in portaudio.h: texts for the common errors.
_PORTAUDIO_ERRORS = {
    -9996: "there is no such device",
    -9997: "it does not do this sample rate",
    -9998: "it does not do this number of channels",
    -9985: "another program may use it",
    -9999: "the sound system reports an error of the device",
    -9988: "the stream was closed",
}


def _error_text(error: Exception) -> str:
    """Return a fixed text for PortAudio's error code; the error's own text may contain secrets."""
    code = next((each for each in (getattr(error, "errno", None), *error.args) if isinstance(each, int)), 0)
    return _PORTAUDIO_ERRORS.get(code) or (f"PortAudio error {code}" if code else type(error).__name__)
