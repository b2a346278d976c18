"""The metrics as a file for node_exporter's textfile collector."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from device.errors import system_text

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

_INTERVAL_S = 15.0
_MODE = 0o644  # node_exporter is another user


class TextFile:
    """Replaces the file every 15 s; it is removed at an orderly end, so that old figures do not look new."""

    def __init__(self, path: str, text: Callable[[], bytes]) -> None:
        self._path, self._text = Path(path), text
        self._failed = ""

    async def run(self) -> None:
        """Write until cancelled. A disk that fails is logged once, and does not stop anything."""
        try:
            while True:
                await self._write()
                await asyncio.sleep(_INTERVAL_S)
        finally:
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _write(self) -> None:
        try:
            await asyncio.to_thread(_replace, self._path, self._text())  # a disk may hang
        except OSError as error:
            why = system_text(error)
            if why != self._failed:
                hint = "the service may write there only if a drop-in of the unit has ReadWritePaths= (docs/metrics.md)"
                log.warning("metrics.file_not_written", path=str(self._path), why=why, hint=hint)
            self._failed = why
        else:
            self._failed = ""


def _replace(path: Path, text: bytes) -> None:
    """Replace a file as a whole. Its folder may belong to others, so links are not followed. Raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), _MODE)  # whatever the umask is
        file.write(text)
    fresh.replace(path)
