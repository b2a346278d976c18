"""Watches the device's end of the route to the server, by the kernel's notifications (rtnetlink(7))."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import select
import socket
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from device.log_throttle import LogThrottle
from device.network.local_route import UNKNOWN, LocalRoute, local_route_to
from device.network.netlink import Netlink, NetlinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device.network.local_route import Kernel

log = structlog.get_logger()

_CHUNK = 4096
# Links, addresses and routes of IPv4 and IPv6: the RTMGRP_* of linux/rtnetlink.h.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
# An address that changes while the kernel lists the addresses interrupts the list. This happens at boot.
_RETRY_DELAYS_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_FIRST_RESTART_S, _MAX_RESTART_S = 1.0, 30.0


class Routes:
    """The route to the server. `local_route` is None while there is none; `changed` is set when it changes."""

    def __init__(self) -> None:
        self.local_route: LocalRoute | None = UNKNOWN
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._target = ""
        self._target_changes = 0
        self._stopped = False
        self._failures = 0
        self._throttle = LogThrottle()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def set_target(self, host: str) -> None:
        """Watch the route to this address from now on; for a name, which is not resolved yet, watch for any route.

        The local address of the previous target is not kept.
        """
        try:
            self._target = "127.0.0.1" if host == "localhost" else str(ipaddress.ip_address(host))
        except ValueError:
            self._target = ""
        self._target_changes += 1
        self._wake()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopped = True
        self._wake()

    def work(self) -> None:
        """Watch until stopped. Runs in a thread of its own, because queries block.

        After any failure it starts again, because without this thread `local_route` would be out of date.
        """
        while not self._stopped:
            try:
                self._watch()
            except Exception as error:  # whatever the kernel sends  # noqa: BLE001
                self._publish(UNKNOWN)
                self._log_failure(error)
                self._wait(None, within_s=min(_FIRST_RESTART_S * 2**self._failures, _MAX_RESTART_S))
                self._failures = min(self._failures + 1, 10)

    def _log_failure(self, error: Exception) -> None:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if isinstance(number, int) and number > 0 else ""
        text = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        if times := self._throttle.count_to_log(text, time.monotonic()):
            log.warning("network.unwatched", error=text, times=times, hint="AF_NETLINK is needed; it is tried again")

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_writer, b"\0")

    def _watch(self) -> None:
        with _changes() as changes, Netlink() as netlink:
            self._follow(changes, netlink)

    def _follow(self, changes: socket.socket, netlink: Kernel) -> None:
        """Query the route after each change and for each new target, until stopped."""
        target_changes, current = -1, None
        while not self._stopped:
            if target_changes != self._target_changes:
                target_changes, current = self._target_changes, None
            current = self._query_with_retries(netlink, self._target, current)
            self._publish(current)
            self._failures = 0
            if target_changes == self._target_changes and not self._stopped and self._wait(changes, within_s=None):
                _drain(changes)

    def _query_with_retries(self, netlink: Kernel, target: str, current: LocalRoute | None) -> LocalRoute | None:
        for pause_s in _RETRY_DELAYS_S:
            try:
                return local_route_to(netlink, target, current=current)
            except NetlinkError:
                self._wait(None, within_s=pause_s)
        return local_route_to(netlink, target, current=current)

    def _wait(self, changes: socket.socket | None, *, within_s: float | None) -> bool:
        """Wait for `_wake`, a change or the timeout; return whether there are changes."""
        watched = [self._wake_reader] if changes is None else [self._wake_reader, changes.fileno()]
        ready, _, _ = select.select(watched, [], [], within_s)
        if self._wake_reader in ready:
            os.read(self._wake_reader, _CHUNK)
        return any(each != self._wake_reader for each in ready)

    def _publish(self, local_route: LocalRoute | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._update, local_route)

    def _update(self, local_route: LocalRoute | None) -> None:
        if local_route != self.local_route:
            if UNKNOWN not in (local_route, self.local_route):
                log.info(
                    "network.link", up=local_route is not None, address=local_route.address if local_route else None
                )
            self.local_route = local_route
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
    """Return a socket on which the kernel reports each change, beside the one for queries."""
    found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        found.bind((0, _GROUPS))
    except OSError:
        found.close()
        raise
    return found


def _drain(changes: socket.socket) -> None:
    """Discard all pending notifications: one query covers them. Raises OSError if the socket is broken."""
    try:
        while changes.recv(_CHUNK):
            pass
    except BlockingIOError:
        pass
    except OSError as error:
        if error.errno != errno.ENOBUFS:  # the buffer overflowed
            raise
