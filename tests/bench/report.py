"""Targets and results: a table, JSON, and the measured part of docs/performance.md."""

from __future__ import annotations

import json
import math
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.rows import COPY, EXAMPLE, FLOOR, ROWS, SINK, X264

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Figures = dict[str, float]
DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
_SSIM_WITHIN = 0.01

_COLUMNS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("CPU s / 1000 frames", lambda f: f"{f['cpu_s_per_1000']:.2f}"),
    ("PSS MB", lambda f: f"{f['pss_mb']:.0f}"),
    ("start to first frame s", lambda f: f"{f['start_s']:.2f}"),
    ("latency p50 / p99 ms", lambda f: f"{f['latency_p50_ms']:.0f} / {f['latency_p99_ms']:.0f}"),
    ("idle %", lambda f: f"{f['idle_percent']:.0f}"),
    ("skew p50, p95 ms", lambda f: f"{f['skew_p50_ms']:+.0f}, {f['skew_p95_ms']:.0f}"),
    ("kbit/s", lambda f: f"{f['bitrate_kbps']:.0f}"),
    ("SSIM", lambda f: f"{f['ssim']:.3f}"),
    ("frames/s", lambda f: f"{f['frames_per_s']:.1f}"),
    ("late viewer s", lambda f: f"{f['late_s']:.2f}"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """One of the project's targets; `measured` and `bound` are NaN if a row is missing."""

    what: str
    measured: float
    bound: float
    unit: str

    @property
    def result(self) -> str:
        if math.isnan(self.measured) or math.isnan(self.bound):
            return "not measured"
        return "held" if self.measured <= self.bound else "MISSED"


def targets(rows: Mapping[str, Figures]) -> list[Target]:
    def value(row: str, figure: str) -> float:
        return rows.get(row, {}).get(figure, math.nan)

    def share(what: str, row: str, figure: str, most: float) -> Target:
        other = value(EXAMPLE.name, figure)
        return Target(what, value(row, figure) / other if other else math.nan, most, "x the example pattern")

    def at_most(what: str, row: str, figure: str, bound: float, unit: str) -> Target:
        return Target(what, value(row, figure), bound, unit)

    floor_ms = {name: value(FLOOR.name, f"latency_{name}_ms") for name in ("p50", "p99")}
    found = [
        share("CPU, x264", X264.name, "cpu_s_per_1000", 0.5),
        at_most(
            "CPU, x264, beside livekitwebrtcsink",
            X264.name,
            "cpu_s_per_1000",
            value(SINK.name, "cpu_s_per_1000"),
            "s / 1000 frames",
        ),
        share("CPU, passing through", COPY.name, "cpu_s_per_1000", 0.25),
        share("PSS, x264", X264.name, "pss_mb", 1.25),
        share("PSS, passing through", COPY.name, "pss_mb", 0.95),
        share("start to first decoded frame, x264", X264.name, "start_s", 0.8),
        at_most("latency p50, x264: the floor's + 10", X264.name, "latency_p50_ms", floor_ms["p50"] + 10, "ms"),
        at_most("latency p99, x264: the floor's + 20", X264.name, "latency_p99_ms", floor_ms["p99"] + 20, "ms"),
        at_most("key frame after the request of a late viewer", X264.name, "key_frame_s", 0.1, "s"),
        at_most("skew of flash and beep p95, x264", X264.name, "skew_p95_ms", 40, "ms"),
        at_most("skew of flash and beep p95, passing through", COPY.name, "skew_p95_ms", 40, "ms"),
    ]
    ssims = [value(row.name, "ssim") for row in ROWS]
    known = [each for each in ssims if not math.isnan(each)]
    spread = max(known) - min(known) if len(known) > 1 else math.nan
    return [*found, Target("SSIM: best less worst row", spread, _SSIM_WITHIN, "")]


def table(rows: Mapping[str, Figures], missing: Mapping[str, str]) -> str:
    lines = [("publisher", *(name for name, _ in _COLUMNS)), ("---",) * (len(_COLUMNS) + 1)]
    for row in ROWS:
        if row.name in rows:
            lines.append((row.title, *(_cell(cell, rows[row.name]) for _, cell in _COLUMNS)))
        elif row.name in missing:
            lines.append((row.title, missing[row.name], *("" for _ in _COLUMNS[1:])))
    return _markdown(lines)


def results(found: list[Target]) -> str:
    lines = [("target", "at most", "measured", ""), ("---",) * 4]
    lines += [
        (each.what, f"{_number(each.bound)} {each.unit}".strip(), _number(each.measured), each.result) for each in found
    ]
    return _markdown(lines)


def as_json(rows: Mapping[str, Figures], runs: Mapping[str, Sequence[Figures]], missing: Mapping[str, str]) -> str:
    """Return all figures and results; missing values are null."""

    def plain(figures: Figures) -> dict[str, float | None]:
        return {name: None if math.isnan(value) else value for name, value in figures.items()}

    whole = {
        "machine": machine(),
        "medians": {name: plain(each) for name, each in rows.items()},
        "runs": {name: [plain(each) for each in found] for name, found in runs.items()},
        "missing": dict(missing),
        "targets": [
            {"what": each.what, **plain({"at_most": each.bound, "measured": each.measured}), "result": each.result}
            for each in targets(rows)
        ],
    }
    return json.dumps(whole, indent=1) + "\n"


def machine() -> str:
    """Return processor, number of cores, kernel and Python version, on which times depend."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return (
        f"{text.count('processor	:')} cores of {model[1].strip() if model else platform.machine()}, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


def write_document(text: str, *, part: str) -> None:
    """Write the newest figures between this part's markers in docs/performance.md."""
    DOCUMENT.write_text(between_markers(DOCUMENT.read_text(), text, part=part))


def between_markers(document: str, text: str, *, part: str) -> str:
    """Return a document with the text of one part replaced. Raises ValueError if there is no such part."""
    first, last = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    before, begin, rest = document.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"there is no {first} ... {last}")
    return f"{before}{begin}\n{text.strip()}\n{end}{after}"


def _cell(cell: Callable[[Figures], str], row: Figures) -> str:
    return cell(row).replace("nan", "-")


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _markdown(lines: Sequence[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
