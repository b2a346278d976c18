"""Replaces unexpected errors of FFmpeg's bindings: adds a file's name, and removes a stream's URL."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from device.errors import DeviceError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device.ipc.worker_link import WorkerLink


@contextmanager
def named(source: str, path: str) -> Iterator[None]:
    """Convert unexpected exceptions of FFmpeg's bindings into a SourceError that names the file.

    For a stream, the exception's text, which may hold the URL, is left out of the traceback too.
    """
    try:
        yield
    except (DeviceError, MemoryError):
        raise
    except Exception as error:
        if source == "stream":
            raise SourceError(
                f"the stream cannot be played ({type(error).__name__})", for_viewers="the stream cannot be played"
            ) from None
        if source != "file":
            raise
        raise SourceError(
            f"{path}: cannot be played ({type(error).__name__}): it is incomplete, or of a kind that is not supported",
            for_viewers="the file cannot be read",
        ) from error


def damage_log(link: WorkerLink, event: str) -> Callable[[str], None]:
    """Return a function that logs a part of a file that cannot be read."""

    def on_damage(path: str) -> None:
        link.log("warning", event, path=path, why="it is damaged or incomplete; the rest of it is played")

    return on_damage
