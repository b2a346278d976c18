"""A connection through an HTTP proxy (CONNECT, RFC 9110, 9.3.6)."""

from __future__ import annotations

import asyncio
import http.client
import os
from typing import TYPE_CHECKING

from device.errors import UnreachableError
from device.network.http_head import MAX_HEAD_BYTES, parsed_head

if TYPE_CHECKING:
    import socket

    from device.network.proxy import Proxy

_OK, _AUTHENTICATION, _FORBIDDEN = 200, 407, 403
_CHUNK = 1  # what follows the head belongs to the server


async def opened(connection: socket.socket, proxy: Proxy, *, host: str, port: int) -> None:
    """Ask the proxy for a tunnel to host and port; the name is left to the proxy. Raises UnreachableError, OSError."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)  # noqa: FBT003
    target = f"{f'[{host}]' if ':' in host else host}:{port}"
    authorization = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    try:
        await loop.sock_sendall(
            connection, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n".encode()
        )
        _demand_ok(parsed_head(await _head(connection)).status, proxy, target)
    except (http.client.HTTPException, ValueError):
        connection.close()
        raise UnreachableError(f"the proxy {proxy} does not answer in HTTP") from None
    except BaseException:
        connection.close()
        raise


async def _head(connection: socket.socket) -> bytes:
    """Return the head of the proxy's answer, to the byte. Raises HTTPException for what is none."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = await asyncio.get_running_loop().sock_recv(connection, _CHUNK)
        head += received
        if not received or len(head) > MAX_HEAD_BYTES:
            raise http.client.BadStatusLine("")
    return head.removesuffix(b"\r\n")


def _demand_ok(status: int, proxy: Proxy, target: str) -> None:
    if status != _OK:
        raise UnreachableError(f"the proxy {proxy} {_refusal(status, target)}", for_viewers="the proxy refuses")


def _refusal(status: int, target: str) -> str:
    if status == _AUTHENTICATION:
        return "asks for a user and a password (HTTP 407): set them in $HTTPS_PROXY"
    if status == _FORBIDDEN:
        return f"does not allow a connection to {target} (HTTP 403)"
    return f"has no way to {target} (HTTP {status})"


def os_error_text(error: OSError) -> str:
    """Return in the system's words what is wrong; asyncio writes "Connect call failed" over them."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or type(error).__name__
