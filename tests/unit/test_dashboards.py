"""The dashboard and the alert rules use metrics, labels and label values that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from device.metrics.families import families
from tests.unit.metrics_samples import readings

CONFIG = Path(__file__).parents[2] / "config"
ALERTS = CONFIG / "livekit-device-alerts.yml"
DASHBOARD: dict[str, Any] = json.loads((CONFIG / "livekit-device-dashboard.json").read_text())
RULE_TESTS = CONFIG.parent / "tests/faults/alerts_test.yml"
# Of a scrape, and of node_exporter.
_FOREIGN = {"up", "node_textfile_mtime_seconds"}
_FOREIGN_LABELS = {"instance", "job", "file"}


def known() -> dict[str, dict[str, set[str]]]:
    """Return the values of each label, by metric."""
    found: dict[str, dict[str, set[str]]] = {}
    for family in families(readings()):
        for each in family.samples:
            labels = found.setdefault(each.name, {})
            for name, value in each.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def alert_expressions() -> dict[str, str]:
    rules = re.findall(r"- alert: (\w+)\n +expr: (?:>-\n)?(.*?)\n +(?:for|labels):", ALERTS.read_text(), re.DOTALL)
    return {name: " ".join(expression.split()) for name, expression in rules}


def panel_expressions() -> dict[str, str]:
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }


EXPRESSIONS = alert_expressions() | panel_expressions()


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_each_metric_and_label_of_an_expression_exists(expression: str) -> None:
    metrics = known()
    found = re.findall(r"\b((?:livekit_device|node)_\w+|up)(\{.*?\})?", expression)
    assert found
    for name, selector in found:
        assert name in metrics or name in _FOREIGN, name
        for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"(.*?)"', selector):
            assert label in _FOREIGN_LABELS or label in metrics[name], (name, label)
            if label in _FOREIGN_LABELS:
                continue
            for each in value.split("|") if "~" in operator else [value]:
                assert each in metrics[name][label], (name, label, each)


def test_there_is_a_rule_test_for_each_alert() -> None:
    tested = set(re.findall(r"alertname: (\w+)", RULE_TESTS.read_text()))
    assert tested == set(alert_expressions())
    assert len(alert_expressions()) == ALERTS.read_text().count("- alert:")


def test_the_dashboard_shows_each_metric_or_says_why_not() -> None:
    shown = set(re.findall(r"livekit_device_\w+", json.dumps(DASHBOARD) + ALERTS.read_text()))
    # Others tell the same: the uptime, the height, the rate, the state, the panel's legend, whether it is watched.
    left_out = {"start_time_seconds", "stream_width_pixels", "stream_sent_bytes_total", "room_state", "stream_info"}
    left_out |= {"stream_watched_seconds_total"}
    assert set(known()) - shown == {f"livekit_device_{name}" for name in left_out}


def test_the_panels_have_numbers_and_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for each in panels:
        place = each["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, each["title"]
        taken |= cells
