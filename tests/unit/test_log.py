"""The log output: format, priority, and redaction."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, Literal

import jwt
import pytest
import structlog

from device import log as device_log
from device import redaction
from device.redaction import redacted

if TYPE_CHECKING:
    from pathlib import Path

    from device.log import LogContext

TOKEN = jwt.encode({"sub": "porch", "video": {"room": "front-door"}}, "k" * 32)
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
pytestmark = pytest.mark.usefixtures("logging_restored")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Pipe:
    """A configured log, and its output."""

    def __init__(
        self,
        *,
        level: str = "debug",
        format: Literal["auto", "console", "json"] = "auto",  # noqa: A002
        stream: io.StringIO | None = None,
    ) -> None:
        self.stream = stream or io.StringIO()
        self.context: LogContext = device_log.configure(level=level, format=format, stream=self.stream)
        self.log = structlog.get_logger()

    @property
    def lines(self) -> list[tuple[int, dict[str, Any]]]:
        """The priority and the object of each line."""
        found = []
        for text in self.stream.getvalue().splitlines():
            line = json.loads(text)
            found.append((PRIORITIES[line["level"]], line))
        return found


def test_one_json_object_per_line() -> None:
    pipe = Pipe()
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(pipe.log, name)("room.connected", number=5, text="two\nlines", nothing=None)
    assert [priority for priority, _ in pipe.lines] == [7, 6, 4, 3, 2]
    _, first = pipe.lines[0]
    assert first.pop("time").endswith("Z")
    assert first == {"event": "room.connected", "level": "debug", "number": 5, "text": "two\nlines", "nothing": None}


@pytest.mark.parametrize(("level", "seen"), (("debug", "diwe"), ("info", "iwe"), ("warning", "we"), ("error", "e")))
def test_the_level_is_a_threshold(level: str, seen: str) -> None:
    pipe = Pipe(level=level)
    for name in ("debug", "info", "warning", "error"):
        getattr(pipe.log, name)(name)
    assert "".join(line["event"][0] for _, line in pipe.lines) == seen


def test_bound_fields_are_on_every_line_and_empty_ones_are_not() -> None:
    pipe = Pipe()
    pipe.context.bind(identity="porch", room="")
    pipe.log.info("a")
    pipe.context.bind(room="front-door")
    logging.getLogger("other").warning("b")
    pipe.log.info("c", identity="of-its-own")
    assert [line.get("identity") for _, line in pipe.lines] == ["porch", "porch", "of-its-own"]
    assert [line.get("room") for _, line in pipe.lines] == [None, "front-door", "front-door"]


def test_lines_of_other_packages_have_the_same_form() -> None:
    pipe = Pipe()
    logging.getLogger("livekit.rtc").error("lost %s of %d", "two", 5)
    logging.getLogger("aiohttp.access").warning("100%")
    logging.getLogger("asyncio").info("not worth a line")
    assert [(line["event"], line["logger"], line["message"]) for _, line in pipe.lines] == [
        ("sdk.log", "livekit.rtc", "lost two of 5"),
        ("aiohttp.log", "aiohttp.access", "100%"),
    ]
    assert [priority for priority, _ in pipe.lines] == [3, 4]


@pytest.mark.parametrize(("level", "seen"), (("debug", ["debug", "info", "warning", "error"]), ("info", ["error"])))
def test_the_sdk_is_quiet_unless_debugging(level: str, seen: list[str]) -> None:
    pipe = Pipe(level=level)
    for name in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("livekit"), name)(name)
    assert [line["message"] for _, line in pipe.lines] == seen


def test_python_warnings_have_the_same_form() -> None:
    pipe = Pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    [(priority, line)] = pipe.lines
    assert (priority, line["event"]) == (4, "py.log")
    assert "DeprecationWarning: old" in line["message"]


def test_an_exception_is_in_its_line_without_local_variables() -> None:
    pipe = Pipe()
    local_secret = "zq-local"
    try:
        _ = int(f"broken{local_secret[:0]}")
    except ValueError as error:
        pipe.log.exception("daemon.a")
        logging.getLogger("other").exception("b")
        device_log.crashed(error)
    for (_, line), priority in zip(pipe.lines, (3, 3, 2), strict=True):
        assert "Traceback" in line["exception"]
        assert "ValueError: invalid literal" in line["exception"]
        assert "zq-local" not in line["exception"].replace('local_secret = "zq-local"', "")
        assert priority == _
    assert pipe.lines[2][1]["event"] == "daemon.failed"


def test_each_error_of_a_group_gets_a_line_of_its_own() -> None:
    pipe = Pipe()
    device_log.crashed(
        BaseExceptionGroup("two", [ValueError("a"), ExceptionGroup("inner", [OSError("b"), KeyError("c")])])
    )
    assert [line["error"] for _, line in pipe.lines] == ["ValueError", "OSError", "KeyError"]


class Odd:
    def __repr__(self) -> str:
        return f"Odd({TOKEN})"


@pytest.mark.parametrize("format_", ("json", "console"))
@pytest.mark.parametrize(
    "value",
    (
        TOKEN,
        f"Bearer {TOKEN}",
        f"wss://h/rtc?access_token={TOKEN}&auto_subscribe=1",
        f"({TOKEN!r})",
        {"inner": [TOKEN, {"deeper": (TOKEN,)}]},
        [TOKEN],
        (TOKEN, 5),
        {TOKEN},
        TOKEN.encode(),
        {TOKEN: 1},
        ValueError(TOKEN),
        Odd(),
        {"inner": Odd()},
    ),
    ids=lambda value: type(value).__name__,
)
def test_no_token_in_any_field(value: object, format_: Literal["json", "console"]) -> None:
    pipe = Pipe(format=format_)
    pipe.log.info("a.b", value=value)
    text = pipe.stream.getvalue()
    assert "a.b" in text
    for part in TOKEN.split("."):
        assert part not in text


@pytest.mark.parametrize("format_", ("json", "console"))
def test_no_token_in_events_exceptions_or_other_packages(format_: Literal["json", "console"]) -> None:
    pipe = Pipe(format=format_)
    pipe.context.bind(room=TOKEN)
    pipe.log.info(TOKEN)
    pipe.log.info("formatted %s", TOKEN)
    logging.getLogger("livekit").error("connect to wss://h/?access_token=%s&x=1 failed", TOKEN)
    logging.getLogger("aiohttp").error(TOKEN)
    try:
        _ = int(TOKEN)
    except ValueError as error:
        pipe.log.exception("a")
        logging.getLogger("other").exception("b")
        device_log.crashed(ExceptionGroup("group", [error]))
    text = pipe.stream.getvalue()
    assert len(text.splitlines()) >= 7
    for part in TOKEN.split("."):
        assert part not in text


@pytest.mark.parametrize(
    "text",
    ("front-door", "eyeball", "https://h/path?room=a", "1.2.3", "eye.ball.x", "access_token"),
)
def test_text_without_a_token_is_unchanged(text: str) -> None:
    assert redacted(text) == text


def test_values_that_json_lacks_are_shown_as_repr() -> None:
    pipe = Pipe()
    pipe.log.info("a", value={1}, path=object)
    assert pipe.lines[0][1]["value"] == "{1}"


def test_a_terminal_gets_colours_and_no_priorities() -> None:
    pipe = Pipe(stream=Terminal())
    pipe.log.info("room.connected", number=5)
    text = pipe.stream.getvalue()
    assert "\x1b[" in text
    assert "room.connected" in text
    assert not text.startswith("<")


def test_no_color_disables_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    pipe = Pipe(stream=Terminal())
    pipe.log.info("room.connected", number=5)
    assert "\x1b[" not in pipe.stream.getvalue()
    assert "number=5" in pipe.stream.getvalue()


def test_the_format_can_be_forced() -> None:
    Pipe(format="json", stream=(terminal := Terminal())).log.info("a")
    assert terminal.getvalue().startswith("{")
    Pipe(format="console", stream=(file := io.StringIO())).log.info("a")
    assert "\x1b[" not in file.getvalue()
    assert not file.getvalue().startswith("<")


@pytest.mark.parametrize("journal", (True, False))
def test_lines_carry_a_priority_only_if_standard_error_is_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, journal: bool
) -> None:
    with (tmp_path / "stderr").open("w+") as stream:
        status = os.fstat(stream.fileno())
        # A child process of the service inherits the variable, although its standard error may be a file.
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + (0 if journal else 1)}")
        device_log.configure(level="info", format="auto", stream=stream)
        for name in ("info", "warning", "error", "critical"):
            getattr(structlog.get_logger(), name)("a")
        stream.seek(0)
        prefixes = [line.partition("{")[0] for line in stream]
    assert prefixes == (["<6>", "<4>", "<3>", "<2>"] if journal else [""] * 4)


@pytest.mark.parametrize("value", ("", "8", "8:", "x:y", "1:2"))
def test_another_processs_journal_stream_is_ignored(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", value)
    pipe = Pipe()
    pipe.log.info("a")
    assert pipe.stream.getvalue().startswith("{")


def test_exceptions_in_threads_are_logged_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    pipe = Pipe()
    device_log.install_hooks()

    def fail() -> None:
        raise ValueError(f"rtsp://admin:hunter2@192.0.2.7/stream1 {TOKEN}")

    thread = threading.Thread(target=fail, name="netlink")
    thread.start()
    thread.join()
    [(priority, line)] = pipe.lines
    assert (priority, line["event"], line["thread"]) == (2, "daemon.unhandled", "netlink")
    assert "ValueError" in line["exception"]
    assert "hunter2" not in line["exception"]
    assert TOKEN not in line["exception"]


def test_uncaught_exceptions_are_logged_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    pipe = Pipe()
    device_log.install_hooks()

    class Failing:
        def __del__(self) -> None:
            raise ValueError("rtsp://admin:hunter2@192.0.2.7/stream1")

    failing = Failing()
    del failing
    error = ValueError(f"api_secret = hunter2 {TOKEN}")
    sys.excepthook(type(error), error, None)
    assert [line["event"] for _, line in pipe.lines] == ["daemon.unhandled", "daemon.failed"]
    assert "Failing.__del__" in pipe.lines[0][1]["where"]
    assert "hunter2" not in pipe.stream.getvalue()


@pytest.mark.parametrize("format_", ("json", "console"))
def test_a_secret_is_recognised_by_its_field_and_by_its_value(format_: Literal["json", "console"]) -> None:
    redaction.hide("zq known/value")
    try:
        pipe = Pipe(format=format_)
        pipe.log.info("a.b", api_secret="hunter2", inner={"headers": [{"X-Api-Key": "hunter2"}]})
        pipe.log.info("a.b", url="https://h/?x=zq%20known%2fvalue", text='"zq known/value"')
        logging.getLogger("aiohttp").error("headers %s", {"Authorization": "hunter2"})
        text = pipe.stream.getvalue()
    finally:
        redaction._secrets.clear()
    assert "hunter2" not in text
    assert "known" not in text
    assert text.count("[redacted]") == 5


class Broken:
    def __repr__(self) -> str:
        raise ValueError("rtsp://admin:hunter2@192.0.2.7/stream1")


@pytest.mark.parametrize("format_", ("json", "console"))
def test_a_value_that_cannot_be_shown_loses_no_line_and_shows_no_secret(
    format_: Literal["json", "console"], capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = Pipe(format=format_)
    pipe.log.info("a.b", value=Broken(), keys={(1, "a"): 1, None: 2})
    assert "<Broken>" in pipe.stream.getvalue()
    logging.getLogger("other").error("api_secret=%d", "hunter2")
    assert "a log line of other could not be written: TypeError" in pipe.stream.getvalue()
    assert "hunter2" not in pipe.stream.getvalue() + capsys.readouterr().err


def test_configuring_again_leaves_no_second_line() -> None:
    Pipe()
    pipe = Pipe()
    pipe.log.info("once")
    assert len(pipe.lines) == 1


def test_what_any_participant_could_write_into_the_log_is_left_out() -> None:
    """The SDK logs each stream without a handler by the root logger, with its topic."""
    lines = []
    for level in ("info", "debug"):
        stream = io.StringIO()
        device_log.configure(level=level, format="json", stream=stream)
        logging.info("ignoring text stream with topic '%s', no callback attached", "spam")  # noqa: LOG015
        logging.warning("a warning of a library")  # noqa: LOG015
        lines.append(stream.getvalue().count("spam"))
    assert lines == [0, 1]
