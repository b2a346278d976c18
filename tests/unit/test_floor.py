"""Who has the floor, in virtual time."""

from __future__ import annotations

import pytest

from device.control.call_limits import CALLER_BURST
from device.control.refusals import RefusedError
from device.speaker.floor import SILENT_S, Floor
from device.speaker.talk_call import TalkCall


def floor(*, allow: tuple[str, ...] = ("ops-*",), exclusive: bool = True, max_s: float = 120.0) -> Floor:
    return Floor(allow=allow, exclusive=exclusive, max_s=max_s)


def test_nobody_may_talk_by_default() -> None:
    found = floor(allow=())
    assert found.open("ops-1", 0.0) == "talking is not allowed for this identity"
    assert not found.sound("ops-1", 0.0, loud=True)
    assert not floor(allow=("*",)).allows("")


def test_patterns_are_case_sensitive_globs() -> None:
    assert [floor().allows(each) for each in ("ops-1", "Ops-1", "xops-1", "ops-")] == [True, False, False, True]


def test_the_first_has_the_floor_until_it_mutes() -> None:
    found = floor()
    assert found.open("ops-1", 0.0) == ""
    assert found.open("ops-2", 0.1) == "busy: ops-1 is talking"
    assert (found.sound("ops-1", 1.0, loud=True), found.sound("ops-2", 1.0, loud=True)) == (True, False)
    found.close("ops-1")
    assert not found.sound("ops-2", 1.1, loud=False)
    assert found.sound("ops-2", 1.2, loud=True)
    assert found.heard == ("ops-2",)


def test_silence_gives_the_floor_up_and_sound_takes_it() -> None:
    found = floor()
    found.open("ops-1", 0.0)
    assert found.sound("ops-1", SILENT_S - 0.1, loud=False)
    assert not found.sound("ops-1", SILENT_S + 0.1, loud=False)
    assert found.open("ops-2", 4.0) == ""
    assert not found.sound("ops-1", 4.1, loud=True)
    found.update(4.0 + SILENT_S)
    assert found.sound("ops-1", 4.2 + SILENT_S, loud=True)


def test_a_talk_that_is_too_long_ends_until_a_pause() -> None:
    found = floor(max_s=10.0)
    found.open("ops-1", 0.0)
    for at in range(10):
        assert found.sound("ops-1", float(at), loud=True)
    assert not found.sound("ops-1", 10.0, loud=True)
    assert "10 s at most" in found.open("ops-1", 10.1)
    assert found.open("ops-2", 10.2) == ""
    found.close("ops-2")
    assert not found.sound("ops-1", 10.5, loud=False)
    assert not found.sound("ops-1", 11.2, loud=False)
    assert found.sound("ops-1", 11.3, loud=True)


def test_all_are_heard_if_it_is_not_exclusive_and_one_when_it_becomes_so() -> None:
    found = floor(exclusive=False)
    assert (found.open("ops-1", 0.0), found.open("ops-2", 0.1)) == ("", "")
    assert list(found.heard) == ["ops-1", "ops-2"]
    found.exclusive = True
    found.update(0.2)
    assert list(found.heard) == ["ops-1"]


def test_a_talker_that_is_no_longer_allowed_is_not_heard() -> None:
    found = floor()
    found.open("ops-1", 0.0)
    found.allow = ("other",)
    assert not found.sound("ops-1", 0.1, loud=True)
    assert found.heard == ()


@pytest.mark.parametrize("payload", ("", "on", "[]", '{"on": 1}', '{"off": true}', "9" * 2000, "[" * 900))
def test_a_call_that_is_malformed_is_refused(payload: str) -> None:
    call = TalkCall(floor(), on_change=lambda: None)
    with pytest.raises(RefusedError, match="the payload must be"):
        call.answer("ops-1", payload, 0.0)


def test_calls_are_limited() -> None:
    call = TalkCall(floor(), on_change=lambda: None)
    for _ in range(CALLER_BURST):
        assert call.answer("ops-1", '{"on": true}', 0.0) == "heard"
    with pytest.raises(RefusedError, match="too many calls"):
        call.answer("ops-1", '{"on": true}', 0.0)
