"""Serves the viewer page, and a fresh token for each of its joins."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohttp.typedefs import Handler, Middleware

log = structlog.get_logger()

HERE: Final = Path(__file__).resolve().parent
PAGE: Final = HERE / "page.html"
VENDOR: Final = HERE / "vendor"
VENDOR_FILES: Final = ("livekit-client.umd.js", "livekit-client.fm.worker.js")
SHUTDOWN_TIMEOUT_S: Final = 0.25
"""The timeout for open requests at the end. aiohttp waits for it twice: half a second in all."""

WEBSOCKET_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
LIVEKIT_CLOUD: Final = (".livekit.cloud", ".livekit.run")
"""Domains for which livekit-client queries the nearest region and then joins at another host name."""

PRIVATE_SUFFIXES: Final = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
"""Names that the public DNS does not delegate, so that an attacker cannot point one at this server."""

HEADERS: Final = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class ViewerBundleMissing(RuntimeError):  # noqa: N818
    """LiveKit's browser client is missing: the checkout has not been set up."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """The room that the page shows.

    room_url: the room's server for a browser (ws, wss, http or https).
    mint: returns a fresh subscriber JWT, each time with a new identity. Two pages with one identity would disconnect
        each other again and again.
    """

    room_url: str
    mint: Callable[[], Awaitable[str]]


@asynccontextmanager
async def serving(viewer: Viewer, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve the page on host:port (0: any free port) while the context lasts; yield its URL.

    Raises ViewerBundleMissing, ValueError for an invalid room_url, OSError if the address is in use.
    """
    app = _application(viewer, host=host)
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


def _application(viewer: Viewer, *, host: str) -> web.Application:
    missing = [name for name in VENDOR_FILES if not (VENDOR / name).is_file()]
    if missing:
        raise ViewerBundleMissing(f"the viewer's browser client is missing ({', '.join(missing)}): run `make setup`")
    page = PAGE.read_text(encoding="utf-8")
    policy = _content_security_policy(page, room_url=viewer.room_url)

    async def get_page(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def get_token(request: web.Request) -> web.Response:
        if not _same_site(request):
            log.warning("viewer.token_refused", peer=request.remote)
            raise web.HTTPForbidden(text="This is only for the viewer page itself.")
        try:
            token = await viewer.mint()
        except Exception as error:  # noqa: BLE001
            log.warning("viewer.token_failed", peer=request.remote, error=type(error).__name__)
            raise web.HTTPServiceUnavailable(text="No token is available now.") from None
        log.info("viewer.token_minted", peer=request.remote)
        return web.json_response({"url": viewer.room_url, "token": token})

    app = web.Application(middlewares=[_checks(bound_host=host)])
    app.router.add_get("/", get_page)
    app.router.add_get("/token", get_token, allow_head=False)
    for name in VENDOR_FILES:
        app.router.add_get(f"/vendor/{name}", _file(VENDOR / name))
    return app


def _file(path: Path) -> Handler:
    async def get_file(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(path, headers={"Cache-Control": "no-cache"})

    return get_file


def _checks(*, bound_host: str) -> Middleware:
    """Refuse requests with an unknown Host, and add the security headers to every response, including errors."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _host_allowed(request.host, bound_host=bound_host):
            response: web.StreamResponse = web.Response(status=403, text="This host name is not allowed.")
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = web.Response(status=error.status, text=error.text, headers=_allow_of(error))
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return response

    return check


def _allow_of(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


def _host_allowed(host_header: str, *, bound_host: str) -> bool:
    """Return whether a request with this Host header is allowed. This prevents DNS rebinding.

    In a rebinding attack a page's own public DNS name resolves to this server, so names that an attacker can own must
    be refused. The port is ignored: behind `ssh -L` it is another one.

    Allowed if bound to loopback: localhost, loopback addresses, and the bound name. Otherwise everyone in that network
    may watch, so also: every literal address, names without a dot, names under PRIVATE_SUFFIXES. To serve under a
    public name, behind a proxy, bind to that name.
    """
    try:
        name = (URL(f"http://{host_header}").host or "").rstrip(".").lower()
    except ValueError:
        return False
    bound = bound_host.rstrip(".").lower()
    if name in {bound, "localhost"}:
        return name != ""
    on_loopback = bound == "localhost" or _is_loopback(bound)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return not on_loopback and name != "" and ("." not in name or name.endswith(PRIVATE_SUFFIXES))
    return address.is_loopback or not on_loopback


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _same_site(request: web.Request) -> bool:
    """Return whether the request comes from the page itself. No CORS header is sent, so other sites cannot read it.

    Browsers send Sec-Fetch-Site only to https and to localhost; they send Origin with every cross-origin read.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.host


def _content_security_policy(page: str, *, room_url: str) -> str:
    """Return a policy that allows only what the page runs, loads and connects to."""
    room = URL(room_url)
    if room.scheme not in WEBSOCKET_SCHEMES or not room.host:
        raise ValueError("the viewer's room_url must be an absolute ws, wss, http or https URL")
    http_scheme = WEBSOCKET_SCHEMES[room.scheme]
    ws_scheme = http_scheme.replace("http", "ws")
    # livekit-client queries over https why a WebSocket was refused.
    reachable = [str(room.with_scheme(scheme).origin()) for scheme in (ws_scheme, http_scheme)]
    reachable += [
        f"{scheme}://*{suffix}"
        for suffix in LIVEKIT_CLOUD
        if room.host.endswith(suffix)
        for scheme in (ws_scheme, http_scheme)
    ]
    directives = {
        "default-src": "'none'",
        "script-src": f"'self' {_inline_hashes(page, element='script')}",
        "style-src": _inline_hashes(page, element="style"),
        "connect-src": f"'self' {' '.join(reachable)}",
        "worker-src": "'self' blob:",
        "media-src": "'self' blob:",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _inline_hashes(page: str, *, element: str) -> str:
    bodies = re.findall(rf"<{element}>(.*?)</{element}>", page, flags=re.DOTALL)
    digests = (hashlib.sha256(body.encode()).digest() for body in bodies)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _page_url(address: tuple[str, int]) -> str:
    """Return the page's URL for a bound address; for a wildcard, with the loopback address of the same family."""
    host, port = address[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return str(URL.build(scheme="http", host=host, port=port, path="/"))
