"""What this board has: cameras with their modes, microphones with their rates, encoders."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from device.errors import DeviceError, EncoderError, ExitCode
from device.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Entries = list[dict[str, Any]]


def run(*, as_json: bool) -> int:
    """Print the lists; a list that cannot be made says why."""
    with quiet_libraries():
        found = {
            "cameras": _asked(_cameras, "libcamera finds no camera"),
            "microphones": _asked(_microphones, "PortAudio lists none (nor one that another program holds)"),
            "encoders": _asked(_encoders, ""),
        }
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, default=str) + "\n")
        return ExitCode.OK
    for kind, entries in found.items():
        sys.stdout.write(f"{kind}\n")
        if isinstance(entries, str):
            sys.stdout.write(f"  none: {entries}\n")
            continue
        for entry in entries:
            name, *rest = (f"{value}" if key == "name" else f"{key} {value}" for key, value in entry.items())
            # A device names itself: its name must not steer the terminal.
            text = "".join(each if each.isprintable() else "?" for each in f"{', '.join((name, *rest))}")
            sys.stdout.write(f"  {text}\n")
    return ExitCode.OK


def _asked(ask: Callable[[], Entries], none: str) -> Entries | str:
    """Return a list, or why there is none: one broken library must not hide what the others say."""
    try:
        return ask() or none
    except DeviceError as error:
        return redacted(str(error)) or error.for_viewers
    except OSError as error:
        return f"the system failed: {os.strerror(error.errno)}" if error.errno else "the system failed"
    except Exception as error:  # whatever a driver raises: its text may hold anything  # noqa: BLE001
        return f"the library failed ({type(error).__name__})"


def _cameras() -> Entries:
    from device.sources import picamera2

    return [
        {
            "name": each.get("Model", "camera"),
            "number": position,
            "id": each.get("Id", ""),
            "modes": picamera2.modes(position),
        }
        for position, each in enumerate(picamera2.cameras())
    ]


def _microphones() -> Entries:
    from device.sources.pyaudio import microphones

    return [
        {"name": each.name, "host": each.host, "channels": each.channels, "rate": each.rate, "default": each.default}
        for each in microphones()
    ]


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
    """Send file descriptor 2 to nowhere: PortAudio, JACK and libcamera write there, whatever one asks for."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
