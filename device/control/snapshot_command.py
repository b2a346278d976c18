"""`livekit-device snapshot`: a picture of the running device as a file, which is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from device.control.client import ask_for_bytes
from device.control.commands import demand_configuration
from device.errors import CallError, ExitCode, system_text

if TYPE_CHECKING:
    from device.control.operations import GetSnapshot

_STDOUT = "-"


def run(config: Path | None, file: str, call: GetSnapshot) -> int:
    """Write the picture to a file, or to standard output for "-"."""
    path = Path(file)
    if file != _STDOUT and path.exists() and not path.is_file():
        raise CallError(f"{file} is no file")
    demand_configuration(config)
    found, picture = ask_for_bytes(call)
    if file == _STDOUT:
        sys.stdout.buffer.write(picture)
        sys.stdout.buffer.flush()
        return ExitCode.OK
    try:
        _write(path.resolve(), picture)  # the file that a link names
    except OSError as error:
        raise CallError(f"{file} cannot be written: {system_text(error)}") from None
    size = "the sensor's full size" if found["full"] else "the stream's size" if call.full else ""
    note = f" ({size})" if size else ""
    sys.stdout.write(
        f"{file}: {found['stream']}, {found['width']}x{found['height']}{note}, captured at {found['captured_at']}\n"
    )
    return ExitCode.OK


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
