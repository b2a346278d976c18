"""A small CONNECT proxy on loopback, which may resolve names that only it knows, and may require a password."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.listening import listening, pumped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


@dataclass(slots=True, kw_only=True)
class ConnectProxy:
    """`names`: host names that only this proxy resolves. `credentials`: the required `user:password`.

    `asked` has the target of each CONNECT, `refused` counts those with wrong credentials.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    credentials: str = ""
    refuses_with: str = ""  # such as "403 Forbidden", for every CONNECT
    port: int = 0
    asked: list[str] = field(default_factory=list)
    refused: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split()
        if method != "CONNECT":
            await _answer(writer, "405 Method Not Allowed")
            return
        self.asked.append(target)
        if self.refuses_with:
            await _answer(writer, self.refuses_with)
            return
        wanted = base64.b64encode(self.credentials.encode()).decode()
        if self.credentials and f"Proxy-Authorization: Basic {wanted}" not in head:
            self.refused += 1
            await _answer(writer, "407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="test"\r\n')
            return
        host, _, port = target.rpartition(":")
        host = host.strip("[]")
        try:
            upstream = await asyncio.open_connection(self.names.get(host, host), int(port))
        except OSError:
            await _answer(writer, "502 Bad Gateway")
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n")
        await pumped((reader, writer), upstream)


async def _answer(writer: asyncio.StreamWriter, status: str, head: str = "") -> None:
    writer.write(f"HTTP/1.1 {status}\r\n{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()


@asynccontextmanager
async def connect_proxy(
    *, names: Mapping[str, str] | None = None, credentials: str = "", refuses_with: str = ""
) -> AsyncIterator[ConnectProxy]:
    """Run a proxy until the context ends, which closes open tunnels."""
    proxy = ConnectProxy(names=names or {}, credentials=credentials, refuses_with=refuses_with)
    async with listening(proxy.serve) as port:
        proxy.port = port
        yield proxy
