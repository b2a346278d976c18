"""A small reverse proxy on loopback with sites by path, such as a LiveKit server, with or without TLS."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.listening import listening, pumped

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

OK = "200 OK\r\nContent-Length: 2\r\n\r\nOK"
AWAY = "503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
NOT_FOUND = "404 Not Found\r\nContent-Length: 0\r\n\r\n"
PAGE = "200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"


@dataclass(slots=True, kw_only=True)
class ReverseProxy:
    """`sites`: for each path prefix, the port of a server or a fixed response.

    The longest prefix applies. `requests` has the head of each request.
    """

    sites: Mapping[str, int | str]
    port: int = 0
    requests: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.requests.append(head)
        method, target, rest = head.split(" ", 2)
        path = target.partition("?")[0]
        prefix = max((each for each in self.sites if path == each or path.startswith(f"{each}/")), key=len, default="")
        site = self.sites[prefix]
        if isinstance(site, str):
            writer.write(f"HTTP/1.1 {site}".encode())
            await writer.drain()
            return
        try:
            upstream = await asyncio.open_connection("127.0.0.1", site)
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        upstream[1].write(f"{method} {target.removeprefix(prefix) or '/'} {rest}".encode("latin-1"))
        await pumped((reader, writer), upstream)


@asynccontextmanager
async def reverse_proxy(
    sites: Mapping[str, int | str], *, context: ssl.SSLContext | None = None
) -> AsyncIterator[ReverseProxy]:
    """Run a proxy until the context ends."""
    proxy = ReverseProxy(sites=sites)
    async with listening(proxy.serve, context=context) as port:
        proxy.port = port
        yield proxy
