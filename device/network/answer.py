"""Reads HTTP responses and decides whether they come from a LiveKit server. Pure, apart from reading."""

from __future__ import annotations

import asyncio
import email.utils
import http.client
import io
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from device.network.address import redirect_target

if TYPE_CHECKING:
    from email.message import Message

_MAX_HEAD_BYTES = 16 << 10
_START_BYTES = 512
_TLS_RECORD = b"\x15\x03"  # an alert: RFC 8446, 5.1
_WANTS_TLS = re.compile(rb"(?i)https (server|port)|ssl-enabled")  # Go, nginx; Apache
# LiveKit answers 401 to a request without a token. The others may come from a gateway in front of it that accepts only
# WebSocket, or limits requests. A web site without LiveKit answers 404, or 200 with a page.
_LIVEKIT_STATUSES = frozenset({400, 401, 403, 405, 426, 429})
_LOGIN = (
    "it looks like a login page. Does this network require a login? Then log in with a browser, or let its operator "
    "admit this device. Else look at room.url"
)
_PAGE = re.compile(rb"(?i)<(!doctype html|html|meta|title|script|form)\b")
_LOGIN_WORDS = re.compile(
    rb"(?i)log[- ]?in\b|log[- ]?on\b|sign[- ]?in\b|captive|portal|hotspot|wispaccess|guest|accept (the )?terms"
)
_PASSWORD = ("basic", "digest", "negotiate", "ntlm")


class NotHTTPError(Exception):
    """The response is not HTTP; `tls` is set if it is TLS."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__()
        self.tls = tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The response to a GET of `url`; `start` is the beginning of its body."""

    url: str
    status: int
    headers: Message
    start: bytes

    @property
    def is_livekit(self) -> bool:
        """Return whether this is LiveKit's response to GET / (200, "OK")."""
        return self.status == HTTPStatus.OK and self.start.strip() == b"OK"

    @property
    def server_time_s(self) -> float | None:
        return time_of(self.headers.get("Date", ""))


async def read_answer(reader: asyncio.StreamReader, url: str) -> Answer:
    """Read the head and the first bytes of the body.

    Raises NotHTTPError, IncompleteReadError and OSError.
    """
    try:
        head = await _head(reader)
        answer = http.client.HTTPResponse(cast("Any", _Received(head)))
        answer.begin()
        start = await _start(reader, answer)
    except (asyncio.LimitOverrunError, http.client.HTTPException, ValueError):
        raise NotHTTPError from None
    return Answer(url=url, status=answer.status, headers=answer.headers, start=start)


async def _head(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(len(_TLS_RECORD))
    if head == _TLS_RECORD:
        raise NotHTTPError(tls=True)
    head += await reader.readuntil(b"\n")
    if not head.startswith(b"HTTP/"):
        raise NotHTTPError
    while (line := await reader.readuntil(b"\n")).strip():
        head += line
        if len(head) > _MAX_HEAD_BYTES:
            raise NotHTTPError
    return head + b"\r\n"


async def _start(reader: asyncio.StreamReader, answer: http.client.HTTPResponse) -> bytes:
    """Return the first bytes of the body; the whole body if it is short and its length is declared."""
    size = answer.length
    if answer.getheader("Transfer-Encoding", "").lower() == "chunked":
        size = int((await reader.readuntil(b"\n")).split(b";")[0], 16)
    if size is None:
        return await reader.read(_START_BYTES)
    try:
        return await reader.readexactly(min(size, _START_BYTES))
    except asyncio.IncompleteReadError as error:
        return error.partial


class _Received:
    """Makes a head that was received already readable for http.client."""

    def __init__(self, head: bytes) -> None:
        self._head = head

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._head)


def problem_of(root: Answer, rtc: Answer) -> str:
    """Return what is wrong with a server that does not answer GET / like LiveKit; empty if nothing is wrong.

    `rtc` is the response to GET rtc/validate without a token, below the same path, because / may belong to a web site.
    """
    if rtc.status in _LIVEKIT_STATUSES and not _asks_for_password(rtc):
        wants_tls = rtc.status == HTTPStatus.BAD_REQUEST and _WANTS_TLS.search(rtc.start)
        return f"{root.url} answers, but requires TLS; set room.url to wss://" if wants_tls else ""
    if looks_like_login(root) or looks_like_login(rtc):
        return f"{root.url} answered, but is not a LiveKit server: {_LOGIN}"
    for answer in (rtc, root):
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            location = answer.headers.get("Location")
            text = f"{root.url} {redirected(answer.url, location, key='room.url')}"
            return f"{text}; or {_LOGIN}" if _LOGIN_WORDS.search((location or "").encode()) else text
    for answer in (rtc, root):
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"{answer.url} answers HTTP {answer.status}: a proxy is there, the LiveKit server is not"
    if _asks_for_password(rtc):
        return f"{rtc.url} asks for a user and a password (HTTP {rtc.status}): that is not a LiveKit server"
    return (
        f"something other than a LiveKit server answers at {root.url} (HTTP {root.status}, and HTTP {rtc.status} at "
        f"{rtc.url}); is room.url right, its path too? Does this network require a login?"
    )


def looks_like_login(answer: Answer) -> bool:
    """Return whether a network answers instead of the server, and asks to log in (a captive portal)."""
    if answer.status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:  # RFC 6585
        return True
    page = answer.status == HTTPStatus.OK and _PAGE.search(answer.start)
    return bool(page and _LOGIN_WORDS.search(answer.start))


def redirected(url: str, location: str | None, *, key: str) -> str:
    """Return where a redirect leads and which configuration key to set, as text."""
    websocket = key == "room.url"
    target = redirect_target(url, location, websocket=websocket)
    if not target:
        return f"redirects without a target; set {key} to the server's own address"
    if target == redirect_target(url, url, websocket=websocket):
        return f"redirects to another path of {target}; set {key} to the right path"
    return f"redirects to {target}; set {key} to that"


def _asks_for_password(answer: Answer) -> bool:
    return answer.headers.get("WWW-Authenticate", "").strip().lower().startswith(_PASSWORD)


def time_of(date: str) -> float | None:
    """Return the time of a Date header in epoch seconds; None if the header is invalid."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
