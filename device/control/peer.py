"""Who is at the other end of a Unix socket, and whether that user may control the device."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import struct
from array import array
from dataclasses import dataclass

GROUP = "livekit-device"
_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid
_SO_PEERGROUPS = 59  # asm-generic/socket.h; Python has no name for it
_MAX_GROUPS_BYTES = 1024  # what Python's getsockopt takes; a user with more groups counts with the first one


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The process that has connected; `groups` are those that it had then."""

    pid: int
    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, connection: socket.socket) -> Peer:
        """Return the peer of a connected socket. Raises OSError."""
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(data)
        groups = b""
        with contextlib.suppress(OSError):
            groups = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MAX_GROUPS_BYTES)
        return cls(pid=pid, uid=uid, groups=frozenset({gid, *array("I", groups)}))

    @property
    def may_control(self) -> bool:
        """Whether this is root, the daemon's own user, or a member of the group `livekit-device`."""
        return self.uid in (0, os.geteuid()) or group_id() in self.groups

    def __str__(self) -> str:
        return f"uid {self.uid}, pid {self.pid}"


def group_id() -> int | None:
    """Return the number of the group whose members may control the device; None if there is no such group."""
    with contextlib.suppress(KeyError):
        return grp.getgrnam(GROUP).gr_gid
    return None
