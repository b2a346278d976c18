"""Is the server there? One HTTP GET of its origin tells, without joining anything."""

from __future__ import annotations

import asyncio
import email.utils
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from device.errors import UnreachableError
from device.network.http import http_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.network.resolver import Resolver

# A stopped server, and a proxy before a dead one, still accept a connection: only an answer counts.
LIMIT_S = 1.5
_SERVER_ERRORS = 500
_SCHEMES = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A server that answered: where, at which address, and its own time in epoch seconds where it told it."""

    url: str
    address: str
    server_time_s: float | None


class Probe:
    """Looks at servers; each look is a connection of its own."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def look(self, url: str) -> Sight:
        """Ask one server. Raises UnreachableError that says in words what is wrong."""
        origin = origin_of(url)
        try:
            return await asyncio.wait_for(self._ask(url, origin), LIMIT_S)
        except TimeoutError:
            raise UnreachableError(f"{origin} does not answer within {LIMIT_S:g} s") from None

    async def first(self, urls: Sequence[str]) -> Sight:
        """Return the first server of a list that answers; asked all at once, so that silent ones cost one limit in all.

        Raises UnreachableError with what is wrong with each.
        """
        looks = [asyncio.ensure_future(self.look(url)) for url in urls]
        try:
            problems = []
            for look in looks:
                try:
                    return await look
                except UnreachableError as error:
                    problems.append(str(error))
            raise UnreachableError("; ".join(problems))
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def _ask(self, url: str, origin: str) -> Sight:
        import aiohttp  # a quarter of a second that the start of the workers need not wait for

        addresses = await self._resolver.resolve(urlsplit(origin).hostname or "", within_s=LIMIT_S)
        try:
            async with (
                http_session(_Known(addresses), within_s=LIMIT_S) as session,
                session.get(origin, allow_redirects=False) as answer,
            ):
                status, date = answer.status, answer.headers.get("Date", "")
        except TimeoutError:
            raise UnreachableError(f"{origin} does not answer within {LIMIT_S:g} s") from None
        except aiohttp.ClientResponseError:
            raise UnreachableError(f"{origin} answers, but not in HTTP") from None
        except aiohttp.ServerDisconnectedError:
            raise UnreachableError(f"{origin} closes the connection in mid-answer") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"{origin} cannot be reached: {_words(error)}") from None
        if status >= _SERVER_ERRORS:
            raise UnreachableError(f"{origin} answers HTTP {status}: a proxy is there, the LiveKit server is not")
        return Sight(url=url, address=addresses[0], server_time_s=_time_of(date))


@dataclass(frozen=True, slots=True)
class _Known:
    """The answer that a resolver has just given, for the connection that it is for."""

    addresses: list[str]

    async def resolve(self, host: str, *, within_s: float) -> list[str]:  # noqa: ARG002
        return self.addresses


def origin_of(url: str) -> str:
    """Return the http:// or https:// origin of a room's URL, with a slash at its end."""
    parts = urlsplit(url)
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}/"


def _time_of(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _words(error: Exception) -> str:
    inner = getattr(error, "os_error", error)
    if isinstance(inner, ssl.SSLError):
        return f"TLS: {inner.reason or inner.strerror or type(inner).__name__}"
    # asyncio writes "Connect call failed" over what the kernel said.
    number = getattr(inner, "errno", None) or 0
    return os.strerror(number) if number > 0 else getattr(inner, "strerror", "") or str(error) or type(error).__name__
