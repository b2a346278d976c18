"""Resolves host names, with one thread per query, so that a query that hangs does not delay other names.

The system's resolver waits for the addresses of both families. If those of one are late, the families are asked by
themselves, and the first that answers is used (RFC 8305, 3).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading

from device.errors import UnreachableError

_BY_FAMILY_AFTER_S = 0.3
_OTHER_FAMILY_S = 0.05  # RFC 8305, 8: Resolution Delay
_FAMILIES = (socket.AF_INET6, socket.AF_INET)


class Resolver:
    """Uses the system's resolver. Concurrent requests for the same name share one query."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, set[asyncio.Future[list[str]]]] = {}
        self._asked: set[tuple[str, socket.AddressFamily]] = set()
        self._found: dict[str, list[str]] = {}

    async def resolve(self, host: str, *, within_s: float) -> list[str]:
        """Return the addresses of a host, in the system's order, without a cache.

        Raises UnreachableError if the name does not resolve, or not in time.
        """
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        answer: asyncio.Future[list[str]] = self._loop.create_future()
        if host not in self._waiting:
            self._waiting[host] = set()
            self._start(host, socket.AF_UNSPEC)
        self._waiting[host].add(answer)
        late = self._loop.call_later(_BY_FAMILY_AFTER_S, self._ask_by_family, host)
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            raise UnreachableError(f"{host} does not resolve within {within_s:g} s: no name server answers") from None
        finally:
            late.cancel()
            self._waiting.get(host, set()).discard(answer)

    def _start(self, host: str, family: socket.AddressFamily) -> None:
        # A daemon thread: the process can exit without waiting for a name server.
        threading.Thread(target=self._work, args=(host, family), name=f"resolver {host}", daemon=True).start()

    def _ask_by_family(self, host: str) -> None:
        for family in _FAMILIES:
            if (host, family) not in self._asked:
                self._asked.add((host, family))
                self._start(host, family)

    def _work(self, host: str, family: socket.AddressFamily) -> None:
        found = _addresses(host, family)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            if family is socket.AF_UNSPEC:
                self._loop.call_soon_threadsafe(self._resolve_all, host, found)
            else:
                self._loop.call_soon_threadsafe(self._one_family, host, family, found)

    def _resolve_all(self, host: str, found: list[str] | str) -> None:
        for each in self._waiting.pop(host):
            if each.done():
                continue
            if isinstance(found, str):
                each.set_exception(UnreachableError(f"{host} does not resolve: {found}"))
            else:
                each.set_result(found)

    def _one_family(self, host: str, family: socket.AddressFamily, found: list[str] | str) -> None:
        """Keep the addresses of one family. That there are none is left to the query for both to say."""
        self._asked.discard((host, family))
        if isinstance(found, list) and found:
            self._found.setdefault(host, []).extend(found)
            self._loop.call_later(_OTHER_FAMILY_S, self._resolve_late, host)

    def _resolve_late(self, host: str) -> None:
        found = self._found.pop(host, [])
        for each in self._waiting.get(host, ()) if found else ():
            if not each.done():
                each.set_result(found)


def _addresses(host: str, family: socket.AddressFamily) -> list[str] | str:
    """Return the addresses, or why there are none."""
    try:
        found = socket.getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return str(getattr(error, "strerror", "") or error)
    return list(dict.fromkeys(str(each[4][0]) for each in found))
