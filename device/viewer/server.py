"""Serves the viewer's pages over HTTP, and a fresh token for each of their joins.

`_routes` is the table of everything that is served. A further page is a further `Page`: it has a path, an HTML file in
`page/`, a path for its tokens, and a secret and a kind of token of its own.
"""

from __future__ import annotations

import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from yarl import URL

from device.viewer import room_urls
from device.viewer.hosts import Hosts, name_in
from device.viewer.token_requests import MAX_BYTES, TokenRequests
from device.viewer.tries import Tries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from aiohttp.typedefs import Handler, Middleware

    from device.viewer.passes import RoomPass

log = structlog.get_logger()

HERE: Final = Path(__file__).resolve().parent
VENDOR: Final = HERE / "vendor"
VENDOR_FILES: Final = ("livekit-client.umd.js", "livekit-client.fm.worker.js")
SUFFIXES: Final = (".js", ".css")
SHUTDOWN_TIMEOUT_S: Final = 0.25
"""The timeout for open requests at the end. aiohttp waits for it twice: half a second in all."""

HEADERS: Final = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class ViewerBundleMissing(RuntimeError):  # noqa: N818
    """LiveKit's browser client is missing: the checkout has not been set up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page.

    mint: returns what a page needs for one join, each time with a new identity. Two pages with one identity would
        disconnect each other again and again. `kind` is what the log calls these tokens.
    secret: what the page must send for a token; empty if it needs none. It is valid for `valid_s` from the start.
    folder: where its files are. Those of "page", which several pages use, are always served.
    more: folders of what is added to the page. The page loads `main.js` of each; "talk" may use the microphone.
    """

    mint: Callable[[], Awaitable[RoomPass]]
    secret: str = field(default="", repr=False)
    kind: str = "viewer"
    path: str = "/"
    token_path: str = "/token"  # a path  # noqa: S105
    folder: str = "page"
    more: tuple[str, ...] = ()
    valid_s: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What one server serves: its pages, the room's URLs (ws, wss, http or https), and names that are allowed."""

    pages: tuple[Page, ...]
    room_urls: tuple[str, ...]
    allowed_hosts: frozenset[str] = frozenset()
    own_name: str = field(default_factory=socket.gethostname)


@asynccontextmanager
async def serving(site: Site, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve the pages on host:port (0: any free port) while the context lasts; yield the URL of `/`.

    Raises ViewerBundleMissing, ValueError for an invalid room URL, OSError if the address is in use.
    """
    room_urls.check(site.room_urls)
    hosts = Hosts(bound=host, own_name=site.own_name, more=site.allowed_hosts)
    app = web.Application(middlewares=[_checks(hosts)], client_max_size=MAX_BYTES)
    app.router.add_routes(_routes(site))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        url = _page_url(runner.addresses[0])
        log.info("viewer.serving", url=url)
        yield url
    finally:
        await runner.cleanup()
        log.info("viewer.stopped")


def _routes(site: Site) -> Iterator[web.RouteDef]:
    missing = [name for name in VENDOR_FILES if not (VENDOR / name).is_file()]
    if missing:
        raise ViewerBundleMissing(f"the viewer's browser client is missing ({', '.join(missing)}): run `make setup`")
    tries = Tries()
    for_browser = partial(room_urls.for_browser, own_name=site.own_name)
    for page in site.pages:
        requests = TokenRequests(
            mint=page.mint,
            kind=page.kind,
            secret=page.secret,
            for_browser=for_browser,
            tries=tries,
            until_s=time.monotonic() + page.valid_s,
        )
        yield web.get(page.path, _html(page, lambda asked: for_browser(site.room_urls, asked=asked)))
        yield web.post(page.token_path, requests.answer)
    for folder in sorted({"page", *(folder for page in site.pages for folder in (page.folder, *page.more))}):
        for path in sorted((HERE / folder).iterdir()):
            if path.suffix in SUFFIXES:
                yield web.get(f"/{folder}/{path.name}", _file(path))
    for name in VENDOR_FILES:
        yield web.get(f"/vendor/{name}", _file(VENDOR / name))


def _html(page: Page, urls_for: Callable[[str], list[str]]) -> Handler:
    text = (HERE / page.folder / "index.html").read_text(encoding="utf-8")
    if page.more:
        text = text.replace("<html ", f'<html data-more="{" ".join(page.more)}" ', 1)
    more = {"Permissions-Policy": _permissions("(self)")} if "talk" in page.more else {}

    async def get_html(request: web.Request) -> web.Response:
        policy = _content_security_policy(urls_for(name_in(request.host)))
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache", **more}
        return web.Response(text=text, content_type="text/html", headers=headers)

    return get_html


def _file(path: Path) -> Handler:
    async def get_file(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(path, headers={"Cache-Control": "no-cache"})

    return get_file


def _checks(hosts: Hosts) -> Middleware:
    """Refuse requests with an unknown Host, and add the security headers to every response, including errors."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not hosts.allow(request.host):
            response: web.StreamResponse = web.Response(status=403, text=hosts.refusal(request.host))
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = web.Response(status=error.status, text=error.text, headers=_allow_of(error))
        response.headers.update(HEADERS)
        response.headers.setdefault("Permissions-Policy", _permissions("()"))
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return response

    return check


def _permissions(microphone: str) -> str:
    return f"camera=(), microphone={microphone}, geolocation=()"


def _allow_of(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


def _content_security_policy(urls: list[str]) -> str:
    """Return a policy that allows only what the page runs, loads and connects to."""
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": " ".join(dict.fromkeys(("'self'", *room_urls.sources(urls)))),
        "worker-src": "'self' blob:",
        "media-src": "'self' blob:",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _page_url(address: tuple[str, int]) -> str:
    """Return the page's URL for a bound address; for a wildcard, with the loopback address of the same family."""
    host, port = address[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return str(URL.build(scheme="http", host=host, port=port, path="/"))
