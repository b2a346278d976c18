"""The steps between this box and the server: name, server, clock, token."""

from __future__ import annotations

import datetime
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from device.errors import UnreachableError
from device.network.http import http_session, proxy_arguments
from device.network.probe import Probe, Sight, base_url, redirect_target
from device.network.proxy import proxy_for

if TYPE_CHECKING:
    from device.check.report import Report
    from device.network.resolver import Resolver
    from device.room.ticket import Ticket

_RESOLVE_S = 5.0
_VALIDATE_S = 5.0
# The server allows a token a minute of leeway (livekit-api's default on its side).
_MAX_SKEW_S = 60
_ANSWERS: dict[int, tuple[str, str]] = {
    HTTPStatus.UNAUTHORIZED: (
        "the server refuses it (HTTP 401)",
        "is it expired, or of another project's key?",
    ),
    HTTPStatus.FORBIDDEN: ("the server forbids it to join (HTTP 403)", "look at the token's grants (video.roomJoin)"),
    HTTPStatus.NOT_FOUND: (
        "the server has no such room",
        "it does not create rooms by itself (room.auto_create)",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: ("the room or the server is full (HTTP 429)", "look at its limits"),
}


async def reach(report: Report, url: str, resolver: Resolver) -> Sight | None:
    """Ask for the server's name, then the server; its Date header also tells whether our clock is right."""
    host = urlsplit(url).hostname or ""
    try:
        proxy = proxy_for(url)
    except UnreachableError as error:
        report.bad("proxy", str(error))
        return None
    if proxy is not None:
        report.good("proxy", f"{proxy} is used for {host}; it looks up the name")
    else:
        try:
            addresses = await resolver.resolve(host, within_s=_RESOLVE_S)
        except UnreachableError as error:
            report.bad("name", str(error), hint="look at room.url, /etc/resolv.conf and the network")
            return None
        report.good("name", f"{host} is {', '.join(addresses[:3])}")
    try:
        sight = await Probe(resolver).look(url)
    except UnreachableError as error:
        report.bad("server", str(error), hint="" if "; " in str(error) else "look at room.url, firewall and server")
        report.skipped("clock", "there is no server to compare it with")
        return None
    report.good("server", f"{base_url(url)} answers{f' through the proxy {proxy}' if proxy else ''}")
    _compare_clock(report, sight.server_time_s)
    return sight


def _compare_clock(report: Report, theirs: float | None) -> None:
    if theirs is None:
        report.skipped("clock", "the server does not tell its time")
        return
    skew_s = time.time() - theirs
    if abs(skew_s) > _MAX_SKEW_S:
        ours = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        report.warn(
            "clock",
            f"this clock ({ours}) is {skew_s:+.0f} s off the server's; tokens that are made here follow the server's",
            hint="timedatectl set-ntp true",
        )
    else:
        report.good("clock", f"within {abs(skew_s):.0f} s of the server's")


async def validate(report: Report, ticket: Ticket, resolver: Resolver) -> bool:
    """Let the server judge the token without joining. The answer's body echoes the token: it is not read."""
    url = f"{base_url(ticket.url)}rtc/validate"
    try:
        async with (
            http_session(resolver, within_s=_VALIDATE_S) as session,
            session.get(
                url,
                headers={"Authorization": f"Bearer {ticket.token}"},
                allow_redirects=False,
                **proxy_arguments(ticket.url),
            ) as answer,
        ):
            status, location = answer.status, answer.headers.get("Location", "")
    except (TimeoutError, aiohttp.ClientError, UnreachableError) as error:
        report.bad("token", f"the server did not judge it: {type(error).__name__}")
        return False
    if status == HTTPStatus.OK:
        report.good("token", "the server takes it")
        return True
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = redirect_target(url, location) or "nowhere"
        report.bad("token", f"the server redirects to {target}", hint=f"set room.url to {target}")
        return False
    said, hint = _ANSWERS.get(status, (f"the server answers HTTP {status}", ""))
    report.bad("token", said, hint=hint)
    return False
