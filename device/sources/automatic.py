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
    choices = (("picamera2", _has_libcamera), ("v4l2", _has_v4l2))
    return _first(choices, device, kind="camera", is_there=_has_sensor(root))


def microphone_source(device: str, root: Path = Path("/")) -> str:
    """Return the source that has the microphone `device`, which may be empty. Raises as `camera_source`."""
    is_there = next((root / "dev/snd").glob("pcmC*D*c"), None) is not None
    return _first((("pyaudio", _has_portaudio),), device, kind="microphone", is_there=is_there)


def _first(choices: tuple[tuple[str, Callable[[str], None]], ...], device: str, *, kind: str, is_there: bool) -> str:
    """Return the first source whose check passes. `is_there`: the kernel shows a device of this kind."""
    failures: list[SourceError] = []
    for name, check in choices:
        try:
            check(device)
        except SourceError as error:
            failures.append(error)
        else:
            return name
    absent = [each for each in failures if isinstance(each, SourceAbsentError)]
    lacking = [each for each in failures if isinstance(each.__cause__, ImportError)]
    broken = [each for each in failures if each not in (*absent, *lacking)]
    if broken or (is_there and lacking):
        raise (broken or lacking)[0]
    text = "; ".join(map(str, failures))
    if device and absent:
        raise SourceAbsentError(text, for_viewers=f"this {kind} is not connected")
    if device or is_there:  # it is wanted, or connected and in use: a fault
        raise failures[0]
    raise NotPresentError(text, for_viewers=f"no {kind} is connected")


def _has_libcamera(device: str) -> None:
    """Raise SourceError if libcamera does not have the camera."""
    from device.sources import picamera2
    from device.sources.v4l2.nodes import is_usb

    found = picamera2.cameras()
    chosen = found[picamera2.choose(found, device)]
    if is_usb(str(chosen.get("Id", ""))):
        raise SourceAbsentError(
            f"{chosen.get('Model')} is a USB camera: V4L2 has it", for_viewers="this camera is not connected"
        )


def _has_v4l2(device: str) -> None:
    """Raise SourceError if V4L2 does not have the camera."""
    from device.sources.v4l2 import nodes

    if device.isdecimal():
        raise SourceAbsentError(
            f"{device} is not the name of a V4L2 camera", for_viewers="this camera is not connected"
        )
    nodes.find(device)


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
