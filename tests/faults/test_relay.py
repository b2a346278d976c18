"""Media through the server's own TURN server, because nothing else is open; `make integration` has coturn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import device
from tests.faults.fleet import Measured
from tests.faults.network import HOST
from tests.faults.recovery import first_picture
from tests.faults.servers import Node, started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.ground import Ground

_PORT, _TURN_PORT = 7970, 3480


@dataclass(slots=True, kw_only=True)
class OwnTurn(Node):
    """A server that is a TURN server, too."""

    def configuration(self) -> str:
        ranges = "relay_range_start: 30000\n  relay_range_end: 30050\n"
        peers = f"allow_restricted_peer_cidrs: [{HOST}/32]\n"  # private addresses are refused otherwise
        return Node.configuration(self) + f"turn:\n  enabled: true\n  udp_port: {_TURN_PORT}\n  {ranges}  {peers}"


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(60)
def test_relay_always(ground: Ground, tmp_path: Path) -> None:
    async def scenario() -> float:
        with started(OwnTurn, _PORT) as server:
            ports = (("tcp", _PORT), ("udp", _TURN_PORT))
            allowed = [f"{kind} {end} {port}" for kind, port in ports for end in ("dport", "sport")]
            async with device(ground.network, [server], tmp_path, DEVICE_NETWORK__RELAY="always") as one:
                ground.network.pass_only(*allowed)
                one.start()
                return await first_picture(one)

    measured = Measured()
    measured.video.seconds.append(ground.run(scenario()))
    ground.table.record(
        'relay = "always", the server\'s own TURN over UDP, nothing else open (again: since the process began)',
        {"times": 1, "video again": measured.video},
        must="a picture <= 10 s",
        ok=measured.video.worst <= 10,
    )
