"""One process of this machine for each identity in a room: two would evict each other again and again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import socket
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from device.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger()

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))
_PORTS = {"ws": 80, "wss": 443}


class IdentityInUseError(DeviceError):
    """Another process of this machine is in this room under this identity."""

    retry = True
    public = "another process of this device has this identity"


class IdentityClaim:
    """Held by abstract sockets (unix(7)): for all users, without a file, and freed by the kernel."""

    def __init__(self) -> None:
        self._held: dict[str, socket.socket] = {}

    def take(self, urls: Iterable[str], *, room: str, identity: str) -> None:
        """Claim an identity in a room until this process ends or claims another one.

        `urls` are all servers that this process may join: they may be nodes of one cluster, so that one which is in use
        by another process is enough to wait. Raises IdentityInUseError that names the process.
        """
        # Sorted, so that of two processes that claim at once, one gets all names.
        names = sorted({_name(url, room, identity) for url in urls})
        fresh: dict[str, socket.socket] = {}
        for name in names:
            if name in self._held:
                continue
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                claim.bind(name)
                claim.listen()
                claim.setblocking(False)  # noqa: FBT003
            except OSError as error:
                claim.close()
                if error.errno == errno.EADDRINUSE:
                    for each in fresh.values():
                        _close(each)
                    raise IdentityInUseError(
                        f"{identity!r} is in {room!r} already, from another process of this device{_holder(name)}; "
                        "waiting for its end. For two devices set room.identity"
                    ) from None
                log.debug("room.identity_unclaimed", error=error.strerror)  # without sockets no claim is possible
                continue
            fresh[name] = claim
            with contextlib.suppress(RuntimeError):  # there is no event loop in tests
                asyncio.get_running_loop().add_reader(claim, _answer, claim)
        for name in self._held.keys() - set(names):
            _close(self._held.pop(name))
        self._held |= fresh

    def release(self) -> None:
        """Free the identity."""
        for each in self._held.values():
            _close(each)
        self._held.clear()


def _name(url: str, room: str, identity: str) -> str:
    parts = urlsplit(url)
    server = f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 0)}"
    digest = hashlib.sha256(f"{server}\0{room}\0{identity}".encode()).hexdigest()
    return f"\0livekit-device/{digest[:32]}"


def _answer(claim: socket.socket) -> None:
    """Accept the connection of a process that asks for the holder, or the backlog would fill up."""
    with contextlib.suppress(OSError):
        claim.accept()[0].close()


def _close(claim: socket.socket) -> None:
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop().remove_reader(claim)
    claim.close()


def _holder(name: str) -> str:
    """Return which process holds a claim, as text; empty if that is unknown."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as question:
            question.settimeout(0)
            question.connect(name)
            pid, _, _ = _CREDENTIALS.unpack(
                question.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
    except OSError:
        return ""
    return f" (pid {pid})"
