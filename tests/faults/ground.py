"""The common environment of all rows."""

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

BUSY_PERCENT = 10.0  # of the cores: with less, processes wait for longer than the bounds allow


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The network, a server, the event loop, and the table of rows.

    `meter` is read with each row: the idle share of the machine since the previous row.
    """

    runner: asyncio.Runner
    network: Network
    server: Node
    table: Table
    meter: IdleMeter

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(scenario)

    def record(self, fault: str, measured: Measured, *, must: str, ok: bool, known: str = "", **cells: object) -> None:
        """Add a row, then assert that it holds; a missing log event is a failure too.

        A missed bound on a machine without idle time is not a failure if all media returned; nor is one that is missed
        for a `known` reason, which docs/reliability.md explains.
        """
        idle = self.meter.percent()
        came_back = math.isfinite(measured.video.worst) and not measured.missing
        excuse = known or (f"{idle:.0f} % idle" if idle < BUSY_PERCENT else "")
        row = {
            "times": len(measured.video.seconds),
            "video again": measured.video,
            "audio again": measured.audio,
            "longest gap": measured.video_gap,
            "idle": f"{idle:.0f} %",
            "events seen": measured.events_text(),
        }
        named = {name.replace("_", " "): cell for name, cell in cells.items()}
        self.table.record(fault, row | named, must=must, ok=ok and not measured.missing, excuse=excuse * came_back)
