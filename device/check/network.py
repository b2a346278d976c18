"""The network steps of `check`: name, server, clock, token."""

from __future__ import annotations

import datetime
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from device.check import legs
from device.errors import UnreachableError
from device.network.address import base_of
from device.network.answer import redirected
from device.network.http import http_session
from device.network.probe import Probe, ProbeResult

if TYPE_CHECKING:
    from device.check.report import Report
    from device.network.resolver import Resolver
    from device.tokens.join_token import JoinToken

_VALIDATE_S = 5.0
# The server allows a token a minute of leeway (livekit-api's default on its side).
_MAX_SKEW_S = 60
_REFUSED: dict[int, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("the server does not understand the request (HTTP 400)", "is it a LiveKit server?"),
    HTTPStatus.UNAUTHORIZED: (
        "the server refuses it (HTTP 401)",
        "is it expired, or of another project's key? Is a clock wrong?",
    ),
    HTTPStatus.FORBIDDEN: ("the server refuses it (HTTP 403)", "the token or the project does not allow this room"),
    HTTPStatus.NOT_FOUND: (
        "the server has no such room (HTTP 404)",
        "it does not create rooms by itself (room.auto_create)",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: ("the server limits requests (HTTP 429)", "try again in a minute"),
}


async def reach(report: Report, url: str, resolver: Resolver) -> ProbeResult | None:
    """Try each leg of the way to a server, and compare our clock with the server's Date header."""
    if not await legs.reached(report, url, resolver):
        report.skipped("server", "the way to it fails, see above")
        return None
    try:
        probed = await Probe(resolver).probe(url)
    except UnreachableError as error:
        report.bad("server", str(error), hint="look at room.url, firewall and server")
        report.skipped("clock", "there is no server to compare it with")
        return None
    through = f" (through the proxy {probed.proxy})" if probed.proxy else ""
    report.good("server", f"{base_of(url)} answers{through}")
    _compare_clock(report, probed.server_time_s)
    return probed


def _compare_clock(report: Report, theirs: float | None) -> None:
    if theirs is None:
        report.skipped("clock", "the server does not send its time")
        return
    skew_s = time.time() - theirs
    if abs(skew_s) > _MAX_SKEW_S:
        ours = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        report.warn(
            "clock",
            f"this clock ({ours}) is {skew_s:+.0f} s off the server's; minted tokens use the server's clock",
            hint="timedatectl set-ntp true",
        )
    else:
        report.good("clock", f"within {abs(skew_s):.0f} s of the server's")


async def validate(report: Report, join_token: JoinToken, resolver: Resolver) -> bool:
    """Let the server validate the token, without joining. The response's body is not read: it contains the token."""
    url = f"{base_of(join_token.url)}rtc/validate"
    headers = {"Authorization": f"Bearer {join_token.token}"}
    try:
        async with (
            http_session(resolver, within_s=_VALIDATE_S) as session,
            session.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            status, location = answer.status, answer.headers.get("Location")
    except TimeoutError:
        report.bad("token", f"the server did not validate it within {_VALIDATE_S:g} s")
        return False
    except UnreachableError as error:
        report.bad("token", f"the server did not validate it: {url} {error}")
        return False
    except (aiohttp.ClientError, ValueError) as error:
        report.bad("token", f"the server did not validate it: {type(error).__name__}")
        return False
    if status == HTTPStatus.OK:
        report.good("token", "the server accepts it")
        return True
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        text = redirected(url, location, key="room.url")
        report.bad("token", f"the server did not validate it: {url} {text}", hint="the token was not sent there")
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        text = f"a proxy answers HTTP {status} in place of the LiveKit server"
        report.bad("token", text, hint="is the server up?")
    else:
        text, hint = _REFUSED.get(status, (f"the server answers HTTP {status}", ""))
        report.bad("token", text, hint=hint)
    return False
