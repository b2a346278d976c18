"""Debian's coturn and tinyproxy on the core network, and a server that names coturn."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.network import HOST
from tests.faults.servers import Node, started
from tests.support.children import end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.certificates import Authority

TURN_PORT, TURNS_PORT, PROXY_PORT = 3478, 5349, 8888
_TURN_USER = "livekit"
TURN_PASSWORD = PROXY_PASSWORD = "zq-password"
_START_S = 10.0


@dataclass(slots=True, kw_only=True)
class WithTurn(Node):
    """A server that names one TURN server: "udp", "tcp" or "tls"."""

    transport: str

    def configuration(self) -> str:
        port = TURNS_PORT if self.transport == "tls" else TURN_PORT
        return Node.configuration(self) + (
            f"  turn_servers:\n  - {{host: {HOST}, port: {port}, protocol: {self.transport}, "
            f"username: {_TURN_USER}, credential: {TURN_PASSWORD}}}\n"
        )


def with_turn(port: int, transport: str) -> contextlib.AbstractContextManager[WithTurn]:
    return started(WithTurn, port, transport=transport)


@contextlib.contextmanager
def coturn(folder: Path, authority: Authority) -> Iterator[Path]:
    """Run coturn; yield its log."""
    authority.context(f"IP:{HOST}")  # writes a certificate and its key
    pem = max(authority.folder.glob("[0-9]*.pem"), key=lambda each: each.stat().st_mtime)
    log = folder / "coturn.log"
    options = (
        *("-n", "--no-cli", "--no-dtls", "--lt-cred-mech", "--simple-log", "--verbose", "--realm=test"),
        *(f"--listening-ip={HOST}", f"--relay-ip={HOST}", f"--listening-port={TURN_PORT}"),
        *(f"--tls-listening-port={TURNS_PORT}", f"--cert={pem}", f"--pkey={pem.with_suffix('.key')}"),
        *(f"--user={_TURN_USER}:{TURN_PASSWORD}", f"--log-file={log}", f"--pidfile={folder}/coturn.pid"),
        f"--userdb={folder}/coturn.db",
    )
    with _running("turnserver", *options, port=TURN_PORT, log=folder / "coturn.out"):
        yield log


@contextlib.contextmanager
def tinyproxy(folder: Path) -> Iterator[Path]:
    """Run tinyproxy with a password; yield its log."""
    log, config = folder / "tinyproxy.log", folder / "tinyproxy.conf"
    config.write_text(
        f'Port {PROXY_PORT}\nListen {HOST}\nTimeout 600\nMaxClients 20\nLogFile "{log}"\nLogLevel Connect\n'
        f"BasicAuth user {PROXY_PASSWORD}\n"
    )
    with _running("tinyproxy", "-d", "-c", str(config), port=PROXY_PORT, log=folder / "tinyproxy.out"):
        yield log


@contextlib.contextmanager
def _running(*command: str, port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            give_up_at = time.monotonic() + _START_S
            while True:
                with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
                    break
                if process.poll() is not None or time.monotonic() > give_up_at:
                    raise RuntimeError(f"{command[0]} did not start: {log.read_text(errors='replace')[-1000:]}")
                time.sleep(0.05)
            yield
        finally:
            end(process)
