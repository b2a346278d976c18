"""Names to addresses, one thread for each name that is being asked for: one that hangs holds up nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading

from device.errors import UnreachableError


class Resolver:
    """Asks the system's resolver; requests for the same name share one question."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._askers: dict[str, set[asyncio.Future[list[str]]]] = {}

    async def resolve(self, host: str, *, within_s: float) -> list[str]:
        """Return the addresses of a host, in the system's order; never one from an earlier answer.

        Raises UnreachableError for a name that is not known, and where no answer comes in time.
        """
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        answer: asyncio.Future[list[str]] = self._loop.create_future()
        if host not in self._askers:
            self._askers[host] = set()
            # A daemon thread: a process that ends does not wait for a name server.
            threading.Thread(target=self._work, args=(host,), name=f"resolver {host}", daemon=True).start()
        self._askers[host].add(answer)
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            raise UnreachableError(f"no name server tells the address of {host} (within {within_s:g} s)") from None
        finally:
            self._askers.get(host, set()).discard(answer)

    def _work(self, host: str) -> None:
        found = _addresses(host)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._tell, host, found)

    def _tell(self, host: str, found: list[str] | str) -> None:
        for each in self._askers.pop(host):
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
