"""The project's targets, evaluated on the figures of a run. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.rows import COMPARED, COPY, EXAMPLE, FLOOR, SILENCE, SINK, X264

if TYPE_CHECKING:
    from collections.abc import Mapping

_BITRATES_WITHIN = 1.05
# The daemon's waits per second before the work on its costs (e0f7a9d, idle machine), and what they have to become.
_WAITS_BEFORE = {X264.name: 1480.0, COPY.name: 1605.0}
_WAITS_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Target:
    """One target; `measured` and `bound` are NaN if a row is missing."""

    what: str
    measured: float
    bound: float
    unit: str

    @property
    def result(self) -> str:
        if math.isnan(self.measured) or math.isnan(self.bound):
            return "not measured"
        return "held" if self.measured <= self.bound else "MISSED"


def judged(rows: Mapping[str, dict[str, float]]) -> list[Target]:
    def value(row: str, figure: str) -> float:
        return rows.get(row, {}).get(figure, math.nan)

    def share(what: str, row: str, figure: str, most: float, other: str) -> Target:
        title = {EXAMPLE.name: "the example pattern", FLOOR.name: "the floor", SINK.name: "livekitwebrtcsink"}[other]
        return Target(what, value(row, figure) / value(other, figure), most, f"x {title}")

    def at_most(what: str, row: str, figure: str, bound: float, unit: str) -> Target:
        return Target(what, value(row, figure), bound, unit)

    floor_ms = {name: value(FLOOR.name, f"latency_{name}_ms") for name in ("p50", "p99")}
    both = ((X264.name, "x264"), (COPY.name, "passing through"))
    known = [each for row in COMPARED if not math.isnan(each := value(row.name, "bitrate_kbps"))]
    return [
        Target(
            "bitrate of the compared rows: highest to lowest",
            max(known) / min(known) if len(known) > 1 else math.nan,
            _BITRATES_WITHIN,
            "",
        ),
        share("CPU, x264", X264.name, "cpu_s_per_1000", 1.0, SINK.name),
        share("CPU, passing through", COPY.name, "cpu_s_per_1000", 3.2, FLOOR.name),
        at_most("of that, the daemon's own process", COPY.name, "daemon_cpu_s_per_1000", 2.4, "s / 1000 frames"),
        share("PSS, x264", X264.name, "pss_mb", 1.0, SINK.name),
        share("PSS, passing through", COPY.name, "pss_mb", 0.8, EXAMPLE.name),
        *(share(f"start to first decoded frame, {title}", row, "start_s", 1.1, EXAMPLE.name) for row, title in both),
        at_most("latency p50, x264: the floor's + 10", X264.name, "latency_p50_ms", floor_ms["p50"] + 10, "ms"),
        at_most("latency p99, x264: the floor's + 20", X264.name, "latency_p99_ms", floor_ms["p99"] + 20, "ms"),
        *(at_most(f"skew of flash and beep p95, {title}", row, "skew_p95_ms", 45, "ms") for row, title in both),
        *(at_most(f"sound during speech, {title}", row, "sound_kbps", 55, "kbit/s") for row, title in both),
        at_most("sound in silence", SILENCE.name, "sound_kbps", 12, "kbit/s"),
        *(
            at_most(
                f"waits of the daemon, {title}", row, "daemon_waits_per_s", _WAITS_BEFORE[row] * _WAITS_SHARE, "per s"
            )
            for row, title in both
        ),
    ]
