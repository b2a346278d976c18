"""Pictures dropped before they are encoded are counted by cause, and logged at a bounded rate."""

from __future__ import annotations

from itertools import pairwise

from device.workers.drops import LOG_INTERVAL_S, DropLog


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
