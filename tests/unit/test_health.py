"""The attribute `device.health`: what it has, how long it may be, and when it is written again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from device.metrics.health import MAX_CHARACTERS, HealthReports
from tests.unit.metrics_samples import CAMERA, readings


def test_the_first_report_has_everything() -> None:
    text = HealthReports().update(readings())
    assert text is not None
    assert json.loads(text) == {
        "state": "live",
        "version": "1.2.3",
        "started": 1_790_000_000,
        "memory_mb": 60,
        "temperature_c": 51,
        "throttled": ["under-voltage"],
        "streams": {"camera": "live", "microphone": "not present"},
    }


def test_what_the_board_does_not_tell_is_left_out() -> None:
    text = HealthReports().update(readings(temperature_celsius=None, throttled=None))
    assert text is not None
    assert not {"temperature_c", "throttled"} & json.loads(text).keys()


@pytest.mark.parametrize(
    ("changes", "notable"),
    (
        ({"uptime_s": 1e6}, False),
        ({"temperature_celsius": 53.9}, False),
        ({"temperature_celsius": 55.0}, True),
        ({"memory_bytes": 68_000_000}, False),
        ({"memory_bytes": 75_000_000}, True),
        ({"started_at": 1_790_000_010.0}, False),
        ({"started_at": 1_790_009_000.0}, True),
        ({"state": "recovering"}, True),
        ({"throttled": ()}, True),
        ({"throttled": None}, True),
        ({"streams": (replace(CAMERA, state="stalled"),)}, True),
    ),
)
def test_only_a_notable_change_is_written(changes: dict[str, Any], notable: bool) -> None:  # noqa: FBT001
    reports = HealthReports()
    reports.update(readings())
    assert (reports.update(readings(**changes)) is not None) == notable


def test_slow_changes_add_up() -> None:
    reports = HealthReports()
    reports.update(readings(temperature_celsius=50.0))
    assert [each for each in range(51, 60) if reports.update(readings(temperature_celsius=float(each)))] == [54, 58]


def test_the_text_is_bounded() -> None:
    many = tuple(replace(CAMERA, name=f"{number}" * 32) for number in range(10, 50))
    text = HealthReports().update(readings(streams=many))
    assert text is not None
    assert len(text) <= MAX_CHARACTERS
    assert json.loads(text)["streams"] == {}
