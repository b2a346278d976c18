"""One process of this machine for each identity in a room: two would evict each other for ever."""

from __future__ import annotations

import errno
import hashlib
import socket
import struct
from urllib.parse import urlsplit

import structlog

from device.errors import DeviceError

log = structlog.get_logger()

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))


class IdentityInUseError(DeviceError):
    """Another process of this machine is in this room under this identity."""

    retry = True
    public = "another process of this device has this identity"


class IdentityClaim:
    """Held by an abstract socket (unix(7)): of all users, without a file, and given back by the kernel."""

    def __init__(self) -> None:
        self._name = ""
        self._socket: socket.socket | None = None

    def take(self, url: str, *, room: str, identity: str) -> None:
        """Claim an identity in a room of a server, for as long as this process lives or claims no other.

        Raises IdentityInUseError that names the process which has it.
        """
        server = urlsplit(url).netloc.rpartition("@")[2].lower()
        digest = hashlib.sha256(f"{server}\x00{room}\x00{identity}".encode()).hexdigest()
        name = f"\0livekit-device/{digest[:32]}"
        if name == self._name:
            return
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            claim.bind(name)
            claim.listen(1)
        except OSError as error:
            claim.close()
            if error.errno == errno.EADDRINUSE:
                raise IdentityInUseError(
                    f"{identity!r} is in {room!r} already, from another process of this device{_holder(name)}; "
                    "waiting for its end. For two devices set room.identity"
                ) from None
            log.debug("room.identity_unclaimed", error=error.strerror)  # without sockets nothing can be claimed
            return
        self.release()
        self._name, self._socket = name, claim

    def release(self) -> None:
        """Give the identity back."""
        if self._socket is not None:
            self._socket.close()
        self._name, self._socket = "", None


def _holder(name: str) -> str:
    """Return which process holds a claim, in words; empty if that cannot be told."""
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
