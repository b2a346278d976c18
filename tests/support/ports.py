"""Ports on loopback."""

from __future__ import annotations

import socket


def free_port(preferred: int = 0, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return the preferred port if it is free, else another free one."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no free port on 127.0.0.1")
