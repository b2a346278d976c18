"""The steps between this box and the server: name, server, clock, token."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

if TYPE_CHECKING:
    from device.check.report import Report
    from device.room.ticket import Ticket

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_RESOLVE_S = 5.0
# The server allows a token a minute of leeway (livekit-api's default on its side).
_MAX_SKEW_S = 60
_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_SCHEMES = {"ws": "http", "wss": "https"}


async def resolve(report: Report, url: str) -> bool:
    parts = urlsplit(url)
    assert parts.hostname
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    try:
        found = await asyncio.wait_for(
            asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM), _RESOLVE_S
        )
    except (TimeoutError, OSError, UnicodeError) as error:
        why = "no answer from the name server" if isinstance(error, TimeoutError) else str(error)
        report.bad(
            "name",
            f"{parts.hostname} does not resolve: {why}",
            hint="look at room.url, /etc/resolv.conf and the network",
        )
        return False
    addresses = sorted({str(each[4][0]) for each in found})
    report.good("name", f"{parts.hostname} is {', '.join(addresses[:3])}")
    return True


async def reach(report: Report, url: str) -> bool:
    """Ask the server's origin; its Date header also tells whether our clock is right."""
    origin = _origin(url)
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(origin) as answer:
            status, date = answer.status, answer.headers.get("Date", "")
    except (TimeoutError, aiohttp.ClientError) as error:
        why = "no answer within 5 s" if isinstance(error, TimeoutError) else _words(error)
        report.bad("server", f"{origin} cannot be reached: {why}", hint="look at room.url, firewall and server")
        report.skipped("clock", "there is no server to compare it with")
        return False
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        report.bad(
            "server",
            f"{origin} answers HTTP {status}",
            hint="a proxy is there, the LiveKit server behind it is not",
        )
        return False
    report.good("server", f"{origin} answers")
    _compare_clock(report, date)
    return True


def _compare_clock(report: Report, date: str) -> None:
    try:
        theirs = email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        report.skipped("clock", "the server does not tell its time")
        return
    skew_s = time.time() - theirs
    if abs(skew_s) > _MAX_SKEW_S:
        ours = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        report.bad(
            "clock",
            f"this clock ({ours}) is {skew_s:+.0f} s off the server's",
            hint="timedatectl set-ntp true",
        )
    else:
        report.good("clock", f"within {abs(skew_s):.0f} s of the server's")


async def validate(report: Report, ticket: Ticket) -> bool:
    """Let the server judge the token without joining. The answer's body echoes the token: it is not read."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(f"{_origin(ticket.url)}rtc/validate", params={"access_token": ticket.token}) as answer,
        ):
            status = answer.status
    except (TimeoutError, aiohttp.ClientError) as error:
        report.bad("token", f"the server did not judge it: {type(error).__name__}")
        return False
    if status == HTTPStatus.OK:
        report.good("token", "the server takes it")
        return True
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        report.bad(
            "token",
            f"the server refuses it (HTTP {status})",
            hint="is it expired, or of another project's key?",
        )
        return False
    if status == HTTPStatus.NOT_FOUND:
        report.bad(
            "token",
            "the server has no such room",
            hint="it does not create rooms by itself (room.auto_create)",
        )
        return False
    report.bad("token", f"the server answers HTTP {status}")
    return False


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}/"


def _words(error: aiohttp.ClientError) -> str:
    inner = getattr(error, "os_error", None)
    return (inner.strerror if inner is not None else "") or str(error) or type(error).__name__
