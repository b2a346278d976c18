"""The newest log records in memory."""

from __future__ import annotations

import io
import json

import structlog

from device import log as log_setup
from device.log_memory import LogMemory
from device.redaction import hide

ALL = frozenset({"debug", "info", "warning", "error", "critical"})


def test_the_oldest_records_make_room_and_numbers_go_on() -> None:
    memory = LogMemory(kept=3)
    for number in range(5):
        memory.add({"event": f"e{number}", "level": "info"})
    found = memory.newest(since=0, levels=ALL, lines=10)
    assert [(each["number"], each["event"]) for each in found] == [(3, "e2"), (4, "e3"), (5, "e4")]
    assert [each["number"] for each in memory.newest(since=3, levels=ALL, lines=10)] == [4, 5]
    assert [each["number"] for each in memory.newest(since=0, levels=ALL, lines=1)] == [5]


def test_records_below_a_level_are_left_out() -> None:
    memory = LogMemory()
    for level in ("debug", "warning", "info", "error"):
        memory.add({"event": level, "level": level})
    found = memory.newest(since=0, levels=frozenset({"warning", "error"}), lines=10)
    assert [each["event"] for each in found] == ["warning", "error"]


def test_a_long_record_is_shortened() -> None:
    memory = LogMemory()
    memory.add({"event": "long", "level": "info", "text": "x" * 1_000_000})
    (record,) = memory.newest(since=0, levels=ALL, lines=1)
    assert record["event"] == "long"
    assert len(json.dumps(record)) < 5000


def test_it_gets_what_is_logged_without_secrets() -> None:
    secret = "zq-a-secret-of-thirty-two-characters"
    hide(secret)
    memory = LogMemory()
    log_setup.configure(level="info", format="json", stream=io.StringIO(), memory=memory)
    structlog.get_logger().warning("something.happened", why=f"it is {secret}", what=object)
    structlog.get_logger().debug("nothing.happened")
    (record,) = memory.newest(since=0, levels=ALL, lines=10)
    assert (record["event"], record["level"]) == ("something.happened", "warning")
    assert secret not in json.dumps(record)
