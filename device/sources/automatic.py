"""Chooses the source for `source = "auto"`, in the worker: by what is connected now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import NotPresentError, SourceAbsentError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

# The video nodes of the Pi's camera interfaces (drivers bcm2835-unicam and rp1-cfe), which exist only while a sensor is
# connected; in /sys/class/video4linux/*/name.
_SENSOR_INTERFACES = ("unicam", "rp1-cfe")


def camera_source(device: str, root: Path = Path("/")) -> str:
    """Return the source that has the camera `device`, which may be empty.

    Raises NotPresentError if there is no camera at all and none is named, else SourceError.
    """
    return _first((("picamera2", _has_libcamera),), device, none="no camera is connected", is_there=_has_sensor(root))


def microphone_source(device: str, root: Path = Path("/")) -> str:
    """Return the source that has the microphone `device`, which may be empty. Raises as `camera_source`."""
    is_there = next((root / "dev/snd").glob("pcmC*D*c"), None) is not None
    return _first((("pyaudio", _has_portaudio),), device, none="no microphone is connected", is_there=is_there)


def _first(choices: tuple[tuple[str, Callable[[str], None]], ...], device: str, *, none: str, is_there: bool) -> str:
    """Return the first source whose check passes. `is_there`: the kernel shows a device of this kind."""
    failures: list[SourceError] = []
    for name, check in choices:
        try:
            check(device)
        except SourceError as error:
            failures.append(error)
        else:
            return name
    if device or is_there:  # it is wanted or connected, so that this is a fault
        raise next((each for each in failures if not isinstance(each, SourceAbsentError)), failures[0])
    raise NotPresentError("; ".join(str(each) for each in failures), for_viewers=none)


def _has_libcamera(device: str) -> None:
    """Raise SourceError if libcamera does not have the camera."""
    from device.sources import picamera2

    picamera2.choose(picamera2.cameras(), device)


def _has_portaudio(device: str) -> None:
    """Raise SourceError if PortAudio does not have the microphone."""
    from device.sources.pyaudio import choose, microphones

    choose(microphones(), device)


def _has_sensor(root: Path) -> bool:
    names = (_text(each) for each in (root / "sys/class/video4linux").glob("*/name"))
    return any(name.startswith(_SENSOR_INTERFACES) for name in names)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
