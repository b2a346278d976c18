"""The steps between this box and the server: name, server, clock, token."""

from __future__ import annotations

import datetime
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from device.errors import UnreachableError
from device.network.http import http_session
from device.network.probe import Probe, Sight, origin_of

if TYPE_CHECKING:
    from device.check.report import Report
    from device.network.resolver import Resolver
    from device.room.ticket import Ticket

_RESOLVE_S = 5.0
_VALIDATE_S = 5.0
# The server allows a token a minute of leeway (livekit-api's default on its side).
_MAX_SKEW_S = 60


async def reach(report: Report, url: str, resolver: Resolver) -> Sight | None:
    """Ask for the server's name, then the server; its Date header also tells whether our clock is right."""
    host = urlsplit(url).hostname or ""
    try:
        addresses = await resolver.resolve(host, within_s=_RESOLVE_S)
    except UnreachableError as error:
        report.bad("name", str(error), hint="look at room.url, /etc/resolv.conf and the network")
        return None
    report.good("name", f"{host} is {', '.join(addresses[:3])}")
    try:
        sight = await Probe(resolver).look(url)
    except UnreachableError as error:
        report.bad("server", str(error), hint="look at room.url, firewall and server")
        report.skipped("clock", "there is no server to compare it with")
        return None
    report.good("server", f"{origin_of(url)} answers")
    _compare_clock(report, sight.server_time_s)
    return sight


def _compare_clock(report: Report, theirs: float | None) -> None:
    if theirs is None:
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


async def validate(report: Report, ticket: Ticket, resolver: Resolver) -> bool:
    """Let the server judge the token without joining. The answer's body echoes the token: it is not read."""
    try:
        async with (
            http_session(resolver, within_s=_VALIDATE_S) as session,
            session.get(f"{origin_of(ticket.url)}rtc/validate", params={"access_token": ticket.token}) as answer,
        ):
            status = answer.status
    except (TimeoutError, aiohttp.ClientError, UnreachableError) as error:
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
