"""What microphones and speakers have in common: PortAudio, its list of devices, and its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from device.errors import SourceAbsentError, SourceError

_BYTES_PER_SAMPLE = 2
_INSTALL = "install PyAudio: `apt install python3-pyaudio`, or the extra: `pip install livekit-device[pi]`"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortAudioDevice:
    """An input or an output; `channels` is how many of these it has, and `rate` its native rate in Hz."""

    index: int
    name: str
    host: str
    channels: int
    rate: int
    default: bool


def open_portaudio(kind: str) -> Any:
    """Return PortAudio. Raises SourceError. `kind` is the table of the configuration that needs it."""
    try:
        import pyaudio
    except ImportError as error:
        missing = error.name or "pyaudio"
        raise SourceError(
            f'{kind}.source = "pyaudio" needs a library that is missing ({missing} cannot be imported); {_INSTALL}',
            for_viewers=f"a library for the {kind} is missing",
        ) from error
    return pyaudio.PyAudio()


def int16() -> int:
    """Return PortAudio's number for samples of 16 bits."""
    import pyaudio

    return int(pyaudio.paInt16)


def listed(audio: Any, *, inputs: bool) -> list[PortAudioDevice]:
    """Return every input or output; PortAudio does not list one that another program uses."""
    key = "maxInputChannels" if inputs else "maxOutputChannels"
    try:
        default = (audio.get_default_input_device_info if inputs else audio.get_default_output_device_info)()["index"]
    except OSError:
        default = -1
    found = []
    for index in range(audio.get_device_count()):
        info = audio.get_device_info_by_index(index)
        if info[key] > 0:
            found.append(
                PortAudioDevice(
                    index=index,
                    name=str(info["name"]),
                    host=str(audio.get_host_api_info_by_index(info["hostApi"])["name"]),
                    channels=int(info[key]),
                    rate=round(info["defaultSampleRate"]),
                    default=index == default,
                )
            )
    return found


def chosen(found: list[PortAudioDevice], wanted: str, *, kind: str, lister: str) -> PortAudioDevice:
    """Return the first whose name contains `wanted`, in any letter case; empty means the default, else the first.

    Raises SourceAbsentError, which lists the devices. `kind` is what they are, `lister` the command that lists them.
    """
    if not found:
        raise SourceAbsentError(
            f"there is no {kind}, or another program uses it; look at `{lister}`",
            for_viewers=f"no {kind} is connected",
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
        f"no {kind}'s name holds {wanted!r}, or another program uses it; there are: {names}",
        for_viewers=f"this {kind} is not connected",
    )


def to_stereo(mono: bytes) -> bytes:
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


def error_text(error: Exception) -> str:
    """Return a fixed text for PortAudio's error code; the error's own text may contain secrets."""
    code = next((each for each in (getattr(error, "errno", None), *error.args) if isinstance(each, int)), 0)
    return _PORTAUDIO_ERRORS.get(code) or (f"PortAudio error {code}" if code else type(error).__name__)
