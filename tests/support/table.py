"""A table of measurements and bounds of tests: printed at the end of a run, and written to a file if one is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

_BUT = ", but must: "


@dataclass(slots=True, kw_only=True)
class Table:
    """Rows in the order of the tests. `record` names the `columns`; the first one is the subject of a row."""

    title: str
    columns: tuple[str, ...]
    file: str = ""
    rows: list[dict[str, str]] = field(default_factory=list)

    def record(self, what: str, measured: object, *, must: str, ok: object, excuse: str = "") -> None:
        """Add a row, then assert that it holds.

        `measured` is one cell, or a mapping of columns to cells. A missed bound with an `excuse`, such as a busy
        machine, is shown as missed with that excuse, and does not fail the test.
        """
        cells = measured if isinstance(measured, dict) else {"measured": measured}
        self._add(what, cells, must=must, ok="yes" if ok else f"NO: {excuse}" if excuse else "NO")
        if excuse:
            return
        text = ", ".join(f"{name} {cell}" for name, cell in cells.items())
        assert ok, f"{what}: {text}{_BUT}{must}"

    def _add(self, what: str, cells: Mapping[str, object], *, must: str, ok: str) -> None:
        row = {self.columns[0]: what, **cells, "must hold": must, "ok": ok}
        self.rows.append({name: str(row.get(name, "")) for name in self.columns})
        self._keep()

    def print(self, reporter: pytest.TerminalReporter) -> None:
        """Print the table at the end of a run, with a row for each test that failed without recording one."""
        failed = [each for kind in ("failed", "error") for each in reporter.stats.get(kind, ())]
        for each in failed:
            if _BUT in each.longreprtext:
                continue
            self._add(each.nodeid.rpartition("::")[2], {}, must="the test passes", ok="NO")
        if self.rows:
            reporter.write_sep("=", self.title)
            reporter.write(self.markdown())

    def markdown(self) -> str:
        lines = [self.columns, tuple("---" for _ in self.columns)]
        lines += [tuple(row[name].replace("|", "/") for name in self.columns) for row in self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def _keep(self) -> None:
        """Write the table after each row, so that a run that is killed leaves its results."""
        if self.file:
            Path(self.file).write_text(self.markdown())
            Path(self.file).with_suffix(".json").write_text(json.dumps(self.rows, indent=1) + "\n")
