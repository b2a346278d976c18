"""The device's own link: its side of the way to the server, as the kernel tells of each change (rtnetlink(7))."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import select
import socket
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog

from device.network.way import UNKNOWN, Way, way_to
from device.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger()

_CHUNK = 4096
# Links, addresses and routes of IPv4 and IPv6: the RTMGRP_* of linux/rtnetlink.h.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
# An address that changes while the kernel lists them interrupts the list: at boot for some moments.
_ASK_AGAIN_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_OPEN_AGAIN_S, _LONGEST_S = 1.0, 30.0


class Routes:
    """`way` is None while there is no way to the server; `changed` is set whenever it has become another."""

    def __init__(self) -> None:
        self.way: Way | None = UNKNOWN
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._target = ""
        self._aims = 0
        self._stopped = False
        self._failures = 0
        self._troubles = Repeats()
        self._poke, self._poked = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def aim(self, host: str) -> None:
        """Ask from now on for the way to this address; for a name that is not resolved yet, any way will do.

        The next connection takes the address that the kernel would take now: what was held for the last one ends.
        """
        try:
            self._target = "127.0.0.1" if host == "localhost" else str(ipaddress.ip_address(host))
        except ValueError:
            self._target = ""
        self._aims += 1
        self._wake()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._wake()

    def work(self) -> None:
        """Watch until stopped; runs in a thread of its own, for pyroute2 waits by itself.

        Whatever fails is tried again, for ever: a thread that ended would leave the last state standing.
        """
        while not self._stopped:
            try:
                self._watch()
            except Exception as error:  # of pyroute2 or the kernel, of any type  # noqa: BLE001
                self._tell(UNKNOWN)
                self._log_failure(error)
                self._wait(None, within_s=min(_OPEN_AGAIN_S * 2**self._failures, _LONGEST_S))
                self._failures = min(self._failures + 1, 10)

    def _log_failure(self, error: Exception) -> None:
        number = getattr(error, "errno", None) or getattr(error, "code", None)
        reason = os.strerror(number) if isinstance(number, int) and number > 0 else ""
        said = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        if times := self._troubles.worth_telling(said, time.monotonic()):
            log.warning("network.unwatched", error=said, times=times, hint="AF_NETLINK is needed; it is tried again")

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._poked, b"\0")

    def _watch(self) -> None:
        with _changes() as changes:
            # It says at a warning that a sandbox has no /proc/net, and lowers its own level when imported.
            logging.getLogger("pyroute2.netlink").setLevel(logging.ERROR)
            from pyroute2 import IPRoute  # 10 MB and a quarter of a second: not before the workers run

            with IPRoute() as questions:
                self._follow(changes, questions)

    def _follow(self, changes: socket.socket, questions: Any) -> None:
        """Ask, and ask again with each change and each aim, until stopped."""
        aim, held = -1, None
        while not self._stopped:
            if aim != self._aims:
                aim, held = self._aims, None
            held = self._asked(questions, self._target, held)
            self._tell(held)
            self._failures = 0
            if aim == self._aims and not self._stopped and self._wait(changes, within_s=None):
                _drain(changes)

    def _asked(self, questions: Any, target: str, held: Way | None) -> Way | None:
        from pyroute2 import NetlinkError

        for pause_s in _ASK_AGAIN_S:
            try:
                return way_to(questions, target, held=held)
            except NetlinkError:
                self._wait(None, within_s=pause_s)
        return way_to(questions, target, held=held)

    def _wait(self, changes: socket.socket | None, *, within_s: float | None) -> bool:
        """Wait for a poke, a change or the time; say whether there are changes."""
        watched = [self._poke] if changes is None else [self._poke, changes.fileno()]
        ready, _, _ = select.select(watched, [], [], within_s)
        if self._poke in ready:
            os.read(self._poke, _CHUNK)
        return any(each != self._poke for each in ready)

    def _tell(self, way: Way | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._become, way)

    def _become(self, way: Way | None) -> None:
        if way != self.way:
            if UNKNOWN not in (way, self.way):
                log.info("network.link", up=way is not None, address=way.address if way else None)
            self.way = way
            self.changed.set()


@asynccontextmanager
async def watching() -> AsyncIterator[Routes]:
    """Watch the kernel's routes for as long as the context lasts."""
    routes = Routes()
    threading.Thread(target=routes.work, name="netlink", daemon=True).start()
    try:
        yield routes
    finally:
        routes.stop()


def _changes() -> socket.socket:
    """Return a socket on which the kernel tells of each change.

    Not pyroute2's, which is broken for good, and cannot be closed, once more came than its buffer holds.
    """
    found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        found.bind((0, _GROUPS))
    except OSError:
        found.close()
        raise
    return found


def _drain(changes: socket.socket) -> None:
    """Read all that is there: one look covers it. Raises OSError where the socket is broken."""
    try:
        while changes.recv(_CHUNK):
            pass
    except BlockingIOError:
        pass
    except OSError as error:
        if error.errno != errno.ENOBUFS:  # more changes than the buffer holds
            raise
