"""Resolves host names, with one thread per name, so that a query that hangs does not delay other names."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading

from device.errors import UnreachableError


class Resolver:
    """Uses the system's resolver. Concurrent requests for the same name share one query."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, set[asyncio.Future[list[str]]]] = {}

    async def resolve(self, host: str, *, within_s: float) -> list[str]:
        """Return the addresses of a host, in the system's order, without a cache.

        Raises UnreachableError if the name does not resolve, or not in time.
        """
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        answer: asyncio.Future[list[str]] = self._loop.create_future()
        if host not in self._waiting:
            self._waiting[host] = set()
            # A daemon thread: the process can exit without waiting for a name server.
            threading.Thread(target=self._work, args=(host,), name=f"resolver {host}", daemon=True).start()
        self._waiting[host].add(answer)
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            raise UnreachableError(f"{host} does not resolve within {within_s:g} s: no name server answers") from None
        finally:
            self._waiting.get(host, set()).discard(answer)

    def _work(self, host: str) -> None:
        found = _addresses(host)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._resolve_all, host, found)

    def _resolve_all(self, host: str, found: list[str] | str) -> None:
        for each in self._waiting.pop(host):
            if each.done():
                continue
            if isinstance(found, str):
                each.set_exception(UnreachableError(f"{host} does not resolve: {found}"))
            else:
                each.set_result(found)


def _addresses(host: str) -> list[str] | str:
    """Return the addresses, or why there are none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return str(getattr(error, "strerror", "") or error)
    return list(dict.fromkeys(str(each[4][0]) for each in found))
