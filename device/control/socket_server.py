"""The control socket: a Unix socket for the commands of this box. The kernel tells who connects."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from device.control.limits import MAX_CALL_BYTES
from device.control.place import places
from device.errors import system_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from device.control.performer import Performer

log = structlog.get_logger()

_MODE = 0o660  # the group of the service's user may connect as well
_FOLDER_MODE = 0o700
_MAX_CONNECTIONS = 8


@asynccontextmanager
async def control_socket(performer: Callable[[], Performer]) -> AsyncIterator[None]:
    """Take calls while the context lasts. Without a place for the socket the device publishes all the same.

    `performer` is called at the first connection: it is not loaded before.
    """
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from device.control.conversation import converse

        task = asyncio.current_task()
        assert task
        connections.add(task)
        try:
            await converse(reader, writer, performer(), crowded=len(connections) > _MAX_CONNECTIONS)
        except asyncio.CancelledError:
            pass  # the daemon ends
        except Exception as error:  # a connection never affects the device
            log.error("control.connection_failed", exc_info=error)  # noqa: TRY400 - one line, redacted
        finally:
            connections.discard(task)
            writer.close()

    opened = _opened()
    if opened is None:
        yield
        return
    path, listener = opened
    server = await asyncio.start_unix_server(connected, sock=listener, limit=MAX_CALL_BYTES)
    log.debug("control.listening", path=str(path))
    try:
        yield
    finally:
        server.close()
        for each in tuple(connections):
            each.cancel()
        if connections:
            await asyncio.wait(tuple(connections))
        with contextlib.suppress(OSError):
            path.unlink()


def _opened() -> tuple[Path, socket.socket] | None:
    """Return the socket in the first folder that can be written; None, and a log line, if there is none."""
    problems = []
    for path in places():
        try:
            return path, _listener(path)
        except OSError as error:
            problems.append(f"{path}: {system_text(error)}")
    log.info("control.no_socket", why="; ".join(problems), hint="commands such as `status` cannot reach this daemon")
    return None


def _listener(path: Path) -> socket.socket:
    """Return a listening socket at a path. Raises OSError, also if another daemon listens there."""
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(mode=_FOLDER_MODE)
    if path.is_symlink() or (path.exists() and not stat.S_ISSOCK(path.stat().st_mode)):
        raise FileExistsError(17, "File exists")
    if path.exists():
        with socket.socket(socket.AF_UNIX) as other:
            try:
                other.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()  # its daemon was killed
            else:
                raise OSError(98, "Address already in use")
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        os.chmod(path, _MODE)  # noqa: PTH101 - the socket's own file
        listener.listen(_MAX_CONNECTIONS)
        listener.setblocking(False)  # noqa: FBT003 - socket's signature
    except OSError:
        listener.close()
        raise
    return listener
