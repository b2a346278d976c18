"""Calls from outside: what is decoded, what is refused, and how that is said."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.control import wire
from device.control.caller import Caller, CallerKind
from device.control.decoding import as_request, decoded, names
from device.control.operations import GetLogs, GetStatus, RequestKeyFrame, RunCommand
from device.control.performer import Performer
from device.control.registry import Call, name_of, name_of_class, operation
from device.control.results import Done, LogLines, Picture, attachment, plain
from device.errors import CallError

LAMP = RunCommand(name="lamp", arguments={"state": "on"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def test_a_call_is_the_same_at_the_other_end() -> None:
    for call in (GetStatus(), RequestKeyFrame(stream="camera"), GetLogs(since=3, level="warning", lines=5), LAMP):
        line = json.dumps(as_request(call)).encode()
        assert decoded(*wire.call_of_line(line)) == call


def test_the_names_are_a_contract() -> None:
    assert {"status", "logs", "key_frame", "restart", "run", "rejoin", "reload"} <= set(names())
    assert name_of(GetStatus()) == "status"


def test_every_operation_is_carried_out() -> None:
    unused: Any = None
    performer = Performer(
        unused,
        reloader=unused,
        status=unused,
        bitrates=unused,
        clock=unused,
        memory=unused,
        privacy=unused,
        started_at=0,
    )
    assert {name_of_class(each) for each in performer._handlers} == set(names())


def test_a_participant_cannot_look_like_a_process_of_this_box() -> None:
    name = "uid 0, pid 1\n"
    assert str(Caller(kind=CallerKind.LOCAL, name=name)) == name
    assert str(Caller(kind=CallerKind.REMOTE, name=name)) == "participant uid 0, pid 1?"


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="status is registered twice"):
        operation("status")(GetStatus)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    (
        ("stats", {}, 'there is no operation "stats"; there are: .*status'),
        (None, {}, 'there is no operation "None"'),
        (["status"], {}, "there is no operation"),
        ("status", [], "the arguments of status must be an object"),
        ("status", {"deep": 1}, 'status has no argument "deep"; it takes none'),
        ("restart", {}, "restart needs the argument stream"),
        ("restart", {"stream": 1}, "stream of restart must be a text"),
        ("restart", {"stream": "camera", "why\n": ""}, r'restart has no argument "why\?"; it takes: stream'),
        ("logs", {"lines": 0}, "lines of logs must be between 1 and 300"),
        ("logs", {"lines": True}, "lines of logs must be a whole number"),
        ("logs", {"lines": 2.5}, "lines of logs must be a whole number"),
        ("run", {"name": "lamp", "arguments": []}, "arguments of run must be an object"),
        ("logs", {"level": "all"}, "level of logs must be one of debug, info"),
    ),
)
def test_what_is_wrong_with_a_call_is_said(name: object, arguments: object, text: str) -> None:
    with pytest.raises(CallError, match=text):
        decoded(name, arguments)


@given(name=JSON | st.sampled_from(names()), arguments=JSON)
def test_any_input_is_a_call_or_refused_in_one_short_line(name: Any, arguments: Any) -> None:
    try:
        call = decoded(name, arguments)
    except CallError as error:
        text = str(error)
    else:
        assert isinstance(call, Call)
        assert is_dataclass(call)
        return
    assert text.isprintable()
    assert len(text) < 300


@given(line=st.binary(max_size=200))
def test_any_line_is_an_object_or_refused(line: bytes) -> None:
    with pytest.raises(CallError):
        decoded(*wire.call_of_line(line))


@pytest.mark.parametrize(
    "line", (b"", b"[]", b'{"arguments": {}}', b'{"operation": "status", "more": 1}', b"[" * 100_000)
)
def test_a_line_that_is_no_call_is_refused(line: bytes) -> None:
    with pytest.raises(CallError):
        wire.call_of_line(line)


def test_answers_carry_results_and_errors() -> None:
    assert wire.result_of_line(wire.answer_line(Done(text="ü"))) == {"text": "ü"}
    assert wire.result_of_line(wire.answer_line(LogLines(records=[{"a": 1}]))) == {"records": [{"a": 1}]}
    with pytest.raises(CallError, match=r"^because$"):
        wire.result_of_line(wire.error_line(CallError("because")))
    for line in (b"", b"{", b"[]", b'{"result": 1}'):
        with pytest.raises(CallError, match="another version"):
            wire.result_of_line(line)


def test_a_pictures_bytes_follow_the_line_of_its_result() -> None:
    picture = Picture(
        stream="camera", captured_at="2026-01-02T03:04:05.678Z", width=640, height=360, full=False, data=b"\xff\xd8\n"
    )
    line, rest = wire.answer_line(picture).split(b"\n", 1)
    result = wire.result_of_line(line)
    assert result == plain(picture)
    assert result["bytes"] == wire.bytes_after(result) == 3
    assert rest == attachment(picture) == picture.data
    assert "data" not in str(picture)
    assert attachment(Done(text="x")) == b""


@pytest.mark.parametrize("count", (-1, True, "3", None, wire.MAX_ATTACHMENT_BYTES + 1))
def test_a_length_that_cannot_be_is_refused(count: object) -> None:
    with pytest.raises(CallError, match="another version"):
        wire.bytes_after({"bytes": count})
