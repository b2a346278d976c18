"""HTTP with aiohttp: our resolver, our proxies, one connection per request, no redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from device.errors import UnreachableError
from device.network.answer import redirected
from device.network.dial import AddressResolver, connect
from device.network.resolver import Resolver

if TYPE_CHECKING:
    import aiohttp


async def read_at_most(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Return the body, or its first `most_bytes` if it is longer."""
    body = await response.content.read(most_bytes)
    while len(body) < most_bytes and (more := await response.content.read(most_bytes - len(body))):
        body += more
    return body


def http_session(resolver: AddressResolver | None, *, within_s: float) -> aiohttp.ClientSession:
    """Return a session for one request, which may take so long in all.

    Its requests raise UnreachableError if the connection fails or the server redirects: a token must not follow a
    redirect.
    """
    import aiohttp  # 8 MB, which a device with a ready token does not need

    class Connector(aiohttp.BaseConnector):
        """Opens connections like the probe; http:// goes through a tunnel too, like ws:// in the SDK."""

        async def _create_connection(self, req: aiohttp.ClientRequest, *_rest: object) -> Any:
            url = str(req.url.with_user(None).with_fragment(None))
            _, protocol, _ = await connect(url, resolver or Resolver(), self._factory, within_s=within_s)
            return protocol

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_refuse)
    return aiohttp.ClientSession(
        connector=Connector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=within_s),
        trace_configs=[tracing],
    )


async def _refuse(_session: object, _context: object, redirect: aiohttp.TraceRequestRedirectParams) -> NoReturn:
    redirect.response.close()
    location = redirect.response.headers.get("Location")
    raise UnreachableError(redirected(str(redirect.url), location, key="room.url"))
