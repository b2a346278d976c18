"""Debian's Prometheus in the devices' namespace, and its promtool."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.children import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.namespaces import Namespace

CONFIG = Path(__file__).parents[2] / "config"
ALERTS = CONFIG / "livekit-device-alerts.yml"
RULE_TESTS = Path(__file__).with_name("alerts_test.yml")
PORT = 9090
_URL = f"http://127.0.0.1:{PORT}"
_START_S = 20.0


def promtool(*arguments: str | Path, given: bytes = b"") -> str:
    """Return what promtool prints. Raises AssertionError if it is not content."""
    done = subprocess.run(("promtool", *arguments), input=given, capture_output=True, timeout=60, check=False)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, text
    return text


def rules_hold(folder: Path) -> str:
    """Check the alert rules, and run their tests; return what promtool prints."""
    checked = promtool("check", "rules", ALERTS)
    # The tests compare labels alone.
    bare = re.sub(r" +annotations:\n(?: +(?:summary|description): .*\n)+", "", ALERTS.read_text())
    assert "annotations" not in bare
    (folder / ALERTS.name).write_text(bare)
    shutil.copy(RULE_TESTS, folder)
    return checked + promtool("test", "rules", folder / RULE_TESTS.name)


class Prometheus:
    """A running Prometheus; `ask` and `until` evaluate expressions."""

    def __init__(self, box: Namespace) -> None:
        self._box = box

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query."""
        command = self._box.inside("promtool", "query", "instant", "--format=json", _URL, expression)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            return []
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def until(
        self, expression: str, *, within_s: float, holds: Callable[[list[dict[str, Any]]], object] = bool
    ) -> float:
        """Return the seconds until an expression has a result; infinity if it has none in time."""
        began = time.monotonic()
        while time.monotonic() - began < within_s:
            if holds(self.ask(expression)):
                return time.monotonic() - began
            time.sleep(0.3)
        return float("inf")


@contextlib.contextmanager
def prometheus(box: Namespace, folder: Path, *, target: str) -> Iterator[Prometheus]:
    """Run Debian's Prometheus with the alert rules; it reads `target`, and itself, every second."""
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{ALERTS}]\n"
        "scrape_configs:\n"
        f"  - job_name: livekit-device\n    static_configs: [{{targets: ['{target}']}}]\n"
        f"  - job_name: prometheus\n    static_configs: [{{targets: ['127.0.0.1:{PORT}']}}]\n"
    )
    options = (
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{PORT}",
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            box.inside("setpriv", "--pdeathsig", "KILL", "prometheus", *options),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        running = Prometheus(box)
        try:
            if running.until("vector(1)", within_s=_START_S) == float("inf"):
                raise RuntimeError(f"prometheus did not start: {log.read_text(errors='replace')[-1000:]}")
            yield running
        finally:
            end(process)
