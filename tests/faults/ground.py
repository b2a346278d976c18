"""What every row stands on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from tests.faults.fleet import Measured
    from tests.faults.network import Network
    from tests.faults.servers import Node
    from tests.support.processors import IdleMeter
    from tests.support.table import Table

T = TypeVar("T")

_BUSY_PERCENT = 10.0  # of the cores: a process waits its turn for longer than the bounds allow then


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The network, a server in it, the one event loop, and the table that rows go to.

    `meter` is read with each row: it tells how idle the machine was since the one before.
    """

    runner: asyncio.Runner
    network: Network
    server: Node
    table: Table
    meter: IdleMeter

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(scenario)

    def record(self, fault: str, measured: Measured, *, must: str, ok: bool, known: str = "", **cells: object) -> None:
        """Note a row, then assert that it holds; what a daemon did not tell although it should is a failure too.

        Seconds that are missed on a machine that had nothing left are no failure, as long as all came back; nor are
        those that are missed for a `known` reason, which docs/reliability.md names.
        """
        idle = self.meter.percent()
        came_back = math.isfinite(measured.video.worst) and not measured.missing
        excuse = known or (f"{idle:.0f} % idle" if idle < _BUSY_PERCENT else "")
        row = {
            "times": len(measured.video.seconds),
            "video again": measured.video,
            "audio again": measured.audio,
            "longest gap": measured.video_gap,
            "idle": f"{idle:.0f} %",
            "events seen": measured.events(),
        }
        named = {name.replace("_", " "): cell for name, cell in cells.items()}
        self.table.record(fault, row | named, must=must, ok=ok and not measured.missing, excuse=excuse * came_back)
