"""The steps of the start in the log."""

from __future__ import annotations

from structlog.testing import capture_logs

from device.timeline import Timeline


def test_steps_are_kept_until_there_is_a_log_and_each_is_logged_once() -> None:
    timeline = Timeline()
    with capture_logs() as lines:
        timeline.mark("imports")
        timeline.mark("configuration")
        timeline.mark("imports")
        assert lines == []
        timeline.log()
        timeline.mark("join")
        timeline.mark("join")
    assert [(line["event"], line["log_level"], line["step"]) for line in lines] == [
        ("start.step", "debug", each) for each in ("imports", "configuration", "join")
    ]
    at_ms = [line["at_ms"] for line in lines]
    assert 0 <= at_ms[0] <= at_ms[1] <= at_ms[2]
    assert lines[0]["took_ms"] == at_ms[0]  # since the process began
    assert all(line["took_ms"] >= 0 for line in lines)
