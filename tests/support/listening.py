"""Small servers with one function per connection, and tunnels."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK = 64 << 10


@asynccontextmanager
async def listening(
    serve: Serving, *, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """Serve each connection with a function until the context ends; yield the port."""
    open_ones: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        open_ones.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has disconnected, or the test has ended
        finally:
            open_ones.discard(task)
            writer.close()

    server = await asyncio.start_server(one, host, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in open_ones:
            each.cancel()
        await asyncio.gather(*open_ones)


async def pumped(one: Streams, other: Streams) -> None:
    """Copy bytes in both directions until both ends have finished."""
    try:
        await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))
    finally:
        one[1].close()
        other[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    # TLS has no half-closed connections.
    if writer.can_write_eof():
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
    else:
        writer.close()
