"""`livekit-device devices`: lists cameras with their modes, microphones and speakers with their rates, encoders."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import os
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from device.errors import DeviceError, EncoderError, ExitCode, system_text
from device.printable import printable
from device.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device.sources.portaudio import PortAudioDevice

    Entries = list[dict[str, Any]]


def run(*, as_json: bool) -> int:
    """Print the lists; in place of a list that fails, print why."""
    with quiet_libraries():
        found = {
            "cameras": _query(_cameras, "libcamera finds no camera"),
            "v4l2_cameras": _query(_v4l2_cameras, "there is no USB camera or capture card"),
            "microphones": _query(_microphones, "PortAudio lists none (it omits those that another program uses)"),
            "speakers": _query(_speakers, "PortAudio lists none (it omits those that another program uses)"),
            "encoders": _query(_encoders, ""),
        }
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, default=_plain) + "\n")
        return ExitCode.OK
    for kind, entries in found.items():
        sys.stdout.write(f"{kind.replace('v4l2_', 'V4L2 ')}\n")
        if isinstance(entries, str):
            sys.stdout.write(f"  none: {entries}\n")
            continue
        for entry in entries:
            single = {key: value for key, value in entry.items() if value != "" and not isinstance(value, list)}
            name, *rest = (f"{value}" if key == "name" else f"{key} {value}" for key, value in single.items())
            sys.stdout.write(f"  {printable(', '.join((name, *rest)))}\n")
            for key, value in entry.items():
                if isinstance(value, list):
                    sys.stdout.write(f"    {key}\n" + "".join(f"      {printable(str(each))}\n" for each in value))
    return ExitCode.OK


def _plain(value: object) -> object:
    """Return what JSON has for an object of this package."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, enum.Enum):
        return value.name.lower()
    return round(float(value), 3) if isinstance(value, Fraction) else str(value)


def _query(query: Callable[[], Entries], none: str) -> Entries | str:
    """Return a list, or why there is none; one broken library must not hide the other lists."""
    try:
        return query() or none
    except DeviceError as error:
        return redacted(str(error)) or error.for_viewers
    except OSError as error:
        return f"the system failed: {os.strerror(error.errno)}" if error.errno else "the system failed"
    except Exception as error:  # drivers raise any type; its text may contain secrets  # noqa: BLE001
        return f"the library failed ({type(error).__name__})"


def _cameras() -> Entries:
    from device.sources import picamera2, picamera2_modes
    from device.sources.v4l2.nodes import is_usb

    return [
        {
            "name": each.get("Model", "camera"),
            "number": position,
            "id": each.get("Id", ""),
            "modes": picamera2_modes.modes(position),
        }
        for position, each in enumerate(picamera2.cameras())
        if not is_usb(str(each.get("Id", "")))  # V4L2 has it
    ]


def _v4l2_cameras() -> Entries:
    from device.sources.v4l2 import controls, ioctls, modes, nodes

    entries: Entries = []
    for node in nodes.cameras()[0]:
        entry: dict[str, Any] = {"name": node.card, "node": node.path, "serial": node.serial, "link": node.link}
        try:
            with ioctls.opened(node.path) as descriptor:
                entry["formats"] = modes.listed(descriptor)
                entry["controls"] = controls.with_values(descriptor, controls.listed(descriptor))
        except OSError as error:
            entry["problem"] = system_text(error)
        entries.append(entry)
    return entries


def _microphones() -> Entries:
    from device.sources.pyaudio import microphones

    return [_portaudio_entry(each) for each in microphones()]


def _speakers() -> Entries:
    from device.workers.speaker_output import speakers

    return [_portaudio_entry(each) for each in speakers()]


def _portaudio_entry(found: PortAudioDevice) -> dict[str, Any]:
    return {
        "name": found.name,
        "host": found.host,
        "channels": found.channels,
        "rate": found.rate,
        "default": found.default,
    }


def _encoders() -> Entries:
    from device.encoders.v4l2 import DEVICE, board_encoder

    software = {"name": "x264", "device": "software"}
    try:
        name = board_encoder()
    except EncoderError as error:
        return [{"name": "v4l2", "device": DEVICE, "problem": str(error)}, software]
    return [{"name": "v4l2", "device": f"{DEVICE} ({name})"}, software] if name else [software]


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Redirect file descriptor 2 to /dev/null: PortAudio, JACK and libcamera always write there."""
    sys.stderr.flush()
    stderr = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)
