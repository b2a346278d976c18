"""The results: tables, JSON, and the measured part of docs/performance.md."""

from __future__ import annotations

import json
import math
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.bench.rows import Row
    from tests.bench.targets import Target

Figures = dict[str, float]
_WHOLE_FROM = 100
DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"


def _one(figure: str, form: str) -> Callable[[Figures], str]:
    return lambda row: format(row.get(figure, math.nan), form).replace("+nan", "nan").replace("nan", "-")


def _two(one: Callable[[Figures], str], separator: str, other: Callable[[Figures], str]) -> Callable[[Figures], str]:
    return lambda row: f"{one(row)}{separator}{other(row)}"


_MEDIA = (
    ("CPU s / 1000 frames", _one("cpu_s_per_1000", ".2f")),
    ("PSS MB", _one("pss_mb", ".0f")),
    ("start to first frame s", _one("start_s", ".2f")),
    ("latency p50 / p99 ms", _two(_one("latency_p50_ms", ".0f"), " / ", _one("latency_p99_ms", ".0f"))),
    ("idle %", _one("idle_percent", ".0f")),
    ("skew p50, p95 ms", _two(_one("skew_p50_ms", "+.0f"), ", ", _one("skew_p95_ms", ".0f"))),
    ("kbit/s", _one("bitrate_kbps", ".0f")),
    ("SSIM", _one("ssim", ".3f")),
    ("frames/s", _one("frames_per_s", ".1f")),
    ("late viewer s", _one("late_s", ".2f")),
)
_PROCESSES = (
    ("daemon CPU s / 1000 frames", _one("daemon_cpu_s_per_1000", ".2f")),
    ("camera CPU s / 1000 frames", _one("camera_cpu_s_per_1000", ".2f")),
    ("daemon waits / s", _one("daemon_waits_per_s", ".0f")),
    ("camera waits / s", _one("camera_waits_per_s", ".0f")),
    ("anonymous MB", _one("anonymous_mb", ".0f")),
    ("sound kbit/s", _one("sound_kbps", ".1f")),
    ("longest gap of pictures ms", _one("picture_gap_ms", ".0f")),
    ("sound concealed ms", _one("sound_gap_ms", ".0f")),
)


def tables(rows: Mapping[str, Figures], missing: Mapping[str, str], *, of: Sequence[Row] = ROWS) -> str:
    """Return two tables: what each publisher costs and delivers, and its processes, sound and gaps."""
    return "\n".join(_table(columns, rows, missing, of) for columns in (_MEDIA, _PROCESSES))


def _table(
    columns: Sequence[tuple[str, Callable[[Figures], str]]],
    rows: Mapping[str, Figures],
    missing: Mapping[str, str],
    of: Sequence[Row],
) -> str:
    lines = [("publisher", *(name for name, _ in columns)), ("---",) * (len(columns) + 1)]
    for row in of:
        if row.name in rows:
            lines.append((row.title, *(cell(rows[row.name]) for _, cell in columns)))
        elif row.name in missing:
            lines.append((row.title, missing[row.name], *("" for _ in columns[1:])))
    return _markdown(lines)


def results(found: Sequence[Target]) -> str:
    lines = [("target", "at most", "measured", ""), ("---",) * 4]
    lines += [
        (each.what, f"{_number(each.bound)} {each.unit}".strip(), _number(each.measured), each.result) for each in found
    ]
    return _markdown(lines)


def as_json(
    rows: Mapping[str, Figures],
    runs: Mapping[str, Sequence[Figures]],
    missing: Mapping[str, str],
    judged: Sequence[Target],
) -> str:
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
            for each in judged
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


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value >= _WHOLE_FROM else f"{value:.3g}"


def _markdown(lines: Sequence[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
