"""Answers a page's request for a token."""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from aiohttp import web

from device.viewer.hosts import name_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from device.viewer.passes import RoomPass
    from device.viewer.tries import Tries

log = structlog.get_logger()

MAX_BYTES: Final = 1024
"""Of a request's body, which has one secret."""

NO_SECRET: Final = "Open the page by its whole link: it ends with # and a key. `livekit-device viewer` printed it."  # noqa: S105
WRONG_SECRET: Final = "This link is not valid, or not any more: each start of `livekit-device viewer` prints a new one."  # noqa: S105
EXPIRED: Final = "This link has expired: start `livekit-device viewer` again, which prints a new one."
TOO_MANY: Final = "Too many wrong links were tried. Wait a minute."


class ForBrowser(Protocol):
    """`room_urls.for_browser`."""

    def __call__(self, urls: Sequence[str], *, asked: str) -> list[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequests:
    """One page's tokens. A request is a POST of JSON, `{"secret": "..."}`."""

    mint: Callable[[], Awaitable[RoomPass]]
    kind: str
    secret: str = field(repr=False)
    for_browser: ForBrowser
    tries: Tries
    until_s: float = float("inf")  # of time.monotonic(), from when on the secret is not valid any more

    async def answer(self, request: web.Request) -> web.Response:
        """Return a token and the room's URLs for this browser. Raises HTTPException, whose text the page shows."""
        if not _same_site(request):
            self._refused(request, "another site")
            raise web.HTTPForbidden(text="This is only for the viewer page itself.")
        given = await _secret_in(request)
        if self.secret:
            self._compare(request, given)
        try:
            made = await self.mint()
        except Exception as error:  # noqa: BLE001
            log.warning("viewer.token_failed", kind=self.kind, peer=request.remote, error=type(error).__name__)
            raise web.HTTPServiceUnavailable(text="No token is available now.") from None
        log.info("viewer.token_minted", kind=self.kind, peer=request.remote)
        urls = self.for_browser(made.urls, asked=name_in(request.host))
        rewritten = [url for url in urls if url not in made.urls]
        return web.json_response({"url": urls[0], "urls": urls, "rewritten": rewritten, "token": made.token})

    def _compare(self, request: web.Request, given: str) -> None:
        if not given:
            raise web.HTTPForbidden(text=NO_SECRET)
        now_s = time.monotonic()
        if not self.tries.allow(request.remote, now_s):
            raise web.HTTPTooManyRequests(text=TOO_MANY)
        if not hmac.compare_digest(given.encode(), self.secret.encode()):
            self.tries.failed(request.remote, now_s)
            self._refused(request, "wrong secret")
            raise web.HTTPForbidden(text=WRONG_SECRET)
        if now_s >= self.until_s:
            self._refused(request, "the link has expired")
            raise web.HTTPForbidden(text=EXPIRED)

    def _refused(self, request: web.Request, why: str) -> None:
        log.warning("viewer.token_refused", kind=self.kind, peer=request.remote, why=why)


async def _secret_in(request: web.Request) -> str:
    """Return the secret in a request's body. Other sites cannot send JSON without asking first, which fails."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="The request must be JSON.")
    try:
        body = json.loads(await request.read())
        given = body["secret"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise web.HTTPBadRequest(text='The request must be {"secret": "..."}.') from None
    if not isinstance(given, str) or not given.isascii():
        raise web.HTTPBadRequest(text="The secret must be ASCII text.")
    return given


def _same_site(request: web.Request) -> bool:
    """Return whether the request comes from the page itself. No CORS header is sent, so other sites cannot read it.

    Browsers send Sec-Fetch-Site only to https and to localhost; they send Origin with every cross-origin read.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.host
