"""systemd's notification protocol (sd_notify(3)): READY, STATUS, WATCHDOG. Does nothing without a service manager."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Self

import structlog

from device.clock import monotonic_us

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.lifecycle.deadlines import Deadlines

log = structlog.get_logger()

_US = 1_000_000
_INTERVAL_S = 10.0
EVENT_LOOP = "event loop"
_LOOP_DUE_S = 5.0  # in addition to its sleep
_PINGS_PER_TIMEOUT = 3  # sd_watchdog_enabled(3) recommends at least two


class Notifier:
    """Reports to the service manager. A failure to do so is ignored."""

    def __init__(self, *, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog_s = watchdog_s
        self._status = ""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        watchdog_us = environment.get("WATCHDOG_USEC", "")
        meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_s = int(watchdog_us) / _US if watchdog_us.isdecimal() and meant else 0.0
        return cls(address=environment.get("NOTIFY_SOCKET", ""), watchdog_s=watchdog_s)

    @property
    def managed(self) -> bool:
        """Whether there is a service manager. SIGHUP is a request to reload then."""
        return bool(self._address)

    @property
    def watched(self) -> bool:
        """Whether the service manager ends this process if it hangs."""
        return self._watchdog_s > 0 and bool(self._address)

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that a reload begins; `ready` reports its end. systemd requires the time in the same message."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_us()}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the service's status line."""
        line = text.replace("\n", " ")
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    async def keep_alive(self, deadlines: Deadlines) -> None:
        """Ping the watchdog from the event loop while each part meets its deadline.

        If the loop is blocked or a part hangs, the pings stop and the service manager ends the process.
        """
        silent = False
        while True:
            wait_s = self._watchdog_s / _PINGS_PER_TIMEOUT if self.watched else _INTERVAL_S
            deadlines.extend(EVENT_LOOP, now=time.monotonic(), within_s=wait_s + _LOOP_DUE_S)
            missed = deadlines.missed(time.monotonic())
            if missed and not silent and self.watched:
                log.critical("daemon.hangs", parts=missed, hint="the service manager's watchdog ends this process")
            silent = bool(missed)
            if not missed and self.watched:
                self._send("WATCHDOG=1")
            await asyncio.sleep(wait_s)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.setblocking(False)  # noqa: FBT003
            out.sendto(message.encode(errors="replace"), self._address)
