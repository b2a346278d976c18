"""The rows of `check`: error texts, and the progress of long steps on a terminal."""

from __future__ import annotations

import asyncio
import io
import time
from typing import TYPE_CHECKING

import pytest

from device.check import report as reports
from device.check.report import Report, report_failures
from device.errors import JoinError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setattr(reports, "_PROGRESS_S", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal() as made:
        yield made


def shown(text: str) -> list[str]:
    """Return the lines that are visible at the end, without erased ones."""
    return [left for line in text.split("\n") if (left := line.rpartition("\r\033[K")[2])]


def test_a_long_step_shows_its_duration_on_a_terminal_until_its_row(terminal: Terminal) -> None:
    report = Report(stream=terminal)
    with report.busy("room", "publishing and decoding"):
        while "publishing and decoding" not in terminal.getvalue():
            time.sleep(0.01)
        report.good("room", "joined")
        report.good("picture", "640x360")
    assert shown(terminal.getvalue()) == ["✓ room           joined", "✓ picture        640x360"]


@pytest.mark.parametrize("term", ("dumb", None))
def test_only_rows_are_printed_without_a_terminal(
    term: str | None, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    if term:
        monkeypatch.setenv("TERM", term)
    stream = terminal if term else io.StringIO()
    report = Report(stream=stream)
    with report.busy("room", "publishing"):
        time.sleep(0.05)
        report.good("room", "joined")
    assert stream.getvalue() == "✓ room           joined\n"


def test_each_error_of_a_group_is_a_row_without_the_text_of_a_library() -> None:
    report = Report(stream=io.StringIO())
    inner = ExceptionGroup("unhandled errors in a TaskGroup", [JoinError("the room is full"), KeyError("a-secret")])
    report_failures(report, "publish", ExceptionGroup("unhandled errors in a TaskGroup", [inner]))
    assert isinstance(report.stream, io.StringIO)
    rows = report.stream.getvalue().splitlines()
    assert rows == [
        "✗ publish        the room is full",
        "✗ publish        an internal error (KeyError); please report it",
    ]
    assert report.failed


def test_a_cancellation_is_raised_again() -> None:
    report = Report(stream=io.StringIO())
    with pytest.raises(asyncio.CancelledError):
        report_failures(report, "publish", asyncio.CancelledError())
    assert not report.failed
