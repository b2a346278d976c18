"""Pictures dropped before they are encoded are counted by cause, and logged at a bounded rate."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from typing import Any

from device.ipc.worker_counts import DROP_CAUSES, WorkerCounts
from device.workers import camera, microphone
from device.workers.drops import LOG_INTERVAL_S, REPORT_INTERVAL_S, DropLog


def test_each_line_has_the_drops_since_the_last_one() -> None:
    lines: list[dict[str, int]] = []
    drops = DropLog(lines.append)
    drops.update(0.0, late=0, encoder_busy=0)
    assert lines == []
    drops.update(1.0, late=2, encoder_busy=0)
    assert lines == [{"late": 2}]
    for number in range(100):
        drops.update(1.0 + number / 100, late=2 + number, encoder_busy=number)
    assert lines == [{"late": 2}]
    drops.update(1.0 + LOG_INTERVAL_S, late=101, encoder_busy=99)
    assert lines == [{"late": 2}, {"late": 99, "encoder_busy": 99}]


def test_no_line_without_new_drops() -> None:
    lines: list[dict[str, int]] = []
    drops = DropLog(lines.append)
    for second in range(100):
        drops.update(float(second), late=5)
    assert lines == [{"late": 5}]


def test_lines_of_constant_drops_become_rare_and_a_pause_resets_that() -> None:
    at: list[float] = []
    now = 0.0
    drops = DropLog(lambda _counts: at.append(now))
    for second in range(24 * 3600):
        now = float(second)
        drops.update(now, rate_limit=second + 1)
    assert len(at) < 160
    assert min(later - sooner for sooner, later in pairwise(at)) >= LOG_INTERVAL_S
    at.clear()
    for second in (2 * 24 * 3600, 2 * 24 * 3600 + 11):
        now = float(second)
        drops.update(now, rate_limit=second)
    assert len(at) == 2


def test_totals_are_reported_when_they_change_at_a_bounded_rate() -> None:
    reports: list[dict[str, int]] = []
    drops = DropLog(lambda _counts: None, reports.append)
    drops.update(0.0, late=0)
    for tick in range(1000):
        drops.update(10 + tick / 100, late=1 + tick // 500)
    assert reports == [{"late": 1}, {"late": 2}]
    drops.update(30.0, late=3)
    drops.update(30.0 + REPORT_INTERVAL_S / 2, late=9)
    assert reports[2:] == [{"late": 3}]


def test_the_daemon_knows_each_cause_that_a_worker_reports() -> None:
    called = "".join(inspect.getsource(each) for each in (camera, microphone))
    updates = re.findall(r"(?:drops|reports)\.update\((.*?)\)\n", called, re.DOTALL)
    reported = {cause for each in updates for cause in re.findall(r"(\w+)=", each)}
    assert reported == set(DROP_CAUSES)


def test_drops_are_counted_across_workers() -> None:
    counts = WorkerCounts()
    counts.began(1)
    counts.dropped({"late": 5, "rate_limit": 1})
    counts.dropped({"late": 7})
    counts.ended(by_itself=True, failure="", replaced=False)
    counts.began(2)
    counts.dropped({"late": 9})
    assert {cause: count for cause, count in counts.drops.items() if count} == {"late": 16, "rate_limit": 1}


def test_what_a_worker_reports_is_bounded() -> None:
    counts = WorkerCounts()
    counts.began(1)
    worst: dict[str, Any] = {"late": -1, "rate_limit": True, "overflow": 1 << 60, "encoder_busy": "9", "x" * 999: 3}
    counts.dropped(worst)
    counts.dropped({"late": 2})
    counts.dropped({"late": 1})
    assert counts.drops == dict.fromkeys(DROP_CAUSES, 0) | {"late": 2}


def test_each_end_of_a_worker_has_one_reason() -> None:
    counts = WorkerCounts()
    counts.ended(by_itself=True, failure="", replaced=True)
    counts.ended(by_itself=False, failure="", replaced=False)
    counts.ended(by_itself=True, failure="SourceAbsentError", replaced=False)
    counts.ended(by_itself=True, failure="SourceError", replaced=False)
    counts.ended(by_itself=True, failure="", replaced=False)
    counts.not_started()
    assert set(counts.restarts.values()) == {1}
