"""What this board has: cameras with their modes, microphones with their rates, encoders."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from device.errors import EncoderError, ExitCode, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator


def run(*, as_json: bool) -> int:
    """Print the lists; a list that cannot be made says why."""
    with quiet_libraries():
        found = {"cameras": _cameras(), "microphones": _microphones(), "encoders": _encoders()}
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
            sys.stdout.write(f"  {', '.join((name, *rest))}\n")
    return ExitCode.OK


def _cameras() -> list[dict[str, Any]] | str:
    from device.sources import picamera2

    try:
        return [
            {
                "name": each.get("Model", "camera"),
                "number": position,
                "id": each.get("Id", ""),
                "modes": picamera2.modes(position),
            }
            for position, each in enumerate(picamera2.cameras())
        ] or "libcamera finds no camera"
    except SourceError as error:
        return str(error)


def _microphones() -> list[dict[str, Any]] | str:
    from device.sources.pyaudio import microphones

    try:
        return [
            {
                "name": each.name,
                "host": each.host,
                "channels": each.channels,
                "rate": each.rate,
                "default": each.default,
            }
            for each in microphones()
        ] or "PortAudio lists no microphone (one that another program holds is not listed)"
    except SourceError as error:
        return str(error)


def _encoders() -> list[dict[str, Any]] | str:
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
