"""`make bench`: runs the rows in turn, so that other load on the machine affects all of them equally.

BENCH_RUNS (5) and BENCH_ROWS (all, or names separated by commas) select runs; BENCH_JSON names a file for all figures;
BENCH_DOC=1 writes the newest into docs/performance.md. `--profile` shows processor time by thread instead.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import namespace, profile, report, targets
from tests.bench.figures import medians
from tests.bench.material import material
from tests.bench.rows import ROWS, Row
from tests.bench.run import one_run
from tests.support.livekit_server import livekit_server

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNS = 5


def main() -> int:
    chosen = set(filter(None, os.environ.get("BENCH_ROWS", "").split(",")))
    if unknown := chosen - {row.name for row in ROWS}:
        sys.exit(
            f"BENCH_ROWS: no such row {', '.join(sorted(unknown))}; allowed: {', '.join(row.name for row in ROWS)}"
        )
    rows = [row for row in ROWS if not chosen or row.name in chosen]
    missing = {row.name: why for row in rows if (why := row.missing())}
    rows = [row for row in rows if row.name not in missing]
    files = material()
    with livekit_server(prefer=(0, 0), address=namespace.ADDRESS, interface=namespace.INTERFACE) as server:
        if "--profile" in sys.argv[1:]:
            text = profile.of_daemon(server, files, [row for row in rows if row in profile.ROWS])
            print(text)
            if os.environ.get("BENCH_DOC"):
                report.write_document(text, part="profile")
            return 0
        runs = _runs(rows, int(os.environ.get("BENCH_RUNS", _RUNS)), lambda row: one_run(row, server, files))
    found = {name: medians(each) for name, each in runs.items() if each}
    judged = targets.judged(found)
    count = max(map(len, runs.values()), default=0)
    machine = f"{report.machine()}; {'one run' if count == 1 else f'medians of {count} runs'}"
    text = "\n".join((machine, "", report.tables(found, missing), report.results(judged)))
    print(text)
    if file := os.environ.get("BENCH_JSON"):
        Path(file).write_text(report.as_json(found, runs, missing, judged))
    if os.environ.get("BENCH_DOC"):
        report.write_document(text, part="measured")
    return 0


def _runs(rows: list[Row], count: int, measure: Callable[[Row], dict[str, float]]) -> dict[str, list[dict[str, float]]]:
    """Run all rows in turn, `count` times; a run that fails is reported and left out."""
    found: dict[str, list[dict[str, float]]] = {row.name: [] for row in rows}
    began_at = time.monotonic()
    for number in range(1, count + 1):
        for row in rows:
            print(
                f"{time.monotonic() - began_at:4.0f} s  run {number} of {count}: {row.title}", end="", file=sys.stderr
            )
            sys.stderr.flush()
            try:
                run = measure(row)
            except RuntimeError as error:
                print(f" FAILED: {error}", file=sys.stderr)
                continue
            found[row.name].append(run)
            print(f"  {run['cpu_s_per_1000']:.2f} s/1000, {run['idle_percent']:.0f} % idle", file=sys.stderr)
    return found


if __name__ == "__main__":
    namespace.enter()
    sys.exit(main())
