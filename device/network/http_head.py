"""The head of an HTTP answer, read from a stream and parsed by the standard library."""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncio

MAX_HEAD_BYTES = 16 << 10


async def head_of_answer(reader: asyncio.StreamReader) -> http.client.HTTPResponse:
    """Return status and headers; the body is not read.

    Raises IncompleteReadError, and for what is not HTTP HTTPException, LimitOverrunError or ValueError.
    """
    head = await reader.readuntil(b"\n")
    if not head.startswith(b"HTTP/"):
        raise http.client.BadStatusLine("")
    while (line := await reader.readuntil(b"\n")).strip():
        head += line
        if len(head) > MAX_HEAD_BYTES:
            raise http.client.LineTooLong("head")
    return parsed_head(head)


def parsed_head(head: bytes) -> http.client.HTTPResponse:
    """Return status and headers of bytes that are there already. Raises HTTPException or ValueError."""
    answer = http.client.HTTPResponse(cast("Any", _Received(head + b"\r\n")))
    answer.begin()
    return answer


class _Received:
    """Bytes in the form from which http.client reads."""

    def __init__(self, head: bytes) -> None:
        self._head = head

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._head)
