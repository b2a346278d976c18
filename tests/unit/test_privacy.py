"""Privacy: who may lift it, and that nothing but a file that says so means that something may be captured."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import privacy as states
from device.config import streams as names
from device.control.operations import SetPrivacy
from device.control.privacy import set_privacy
from device.errors import CallError
from device.privacy import ALL, NAME, UNKNOWN, KeptPrivacy, Privacy, parsed

if TYPE_CHECKING:
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
HELD = st.dictionaries(
    st.just(ALL) | st.text("abcz019_-", min_size=1, max_size=32), st.sampled_from(("local", "anyone")), max_size=8
)


class FakeStream:
    """What privacy needs of a stream."""

    def __init__(self, *, killable: bool = True) -> None:
        self.done: list[str] = []
        self._killable = killable

    def conceal(self) -> None:
        self.done.append("conceal")

    def reveal(self) -> None:
        self.done.append("reveal")

    async def concealed(self) -> bool:
        self.done.append("wait")
        return self._killable


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


def both() -> Any:
    return {"camera": FakeStream(), "microphone": FakeStream()}


def turned(kept: KeptPrivacy, streams: Any, *, remote: bool = False, **arguments: Any) -> Any:
    return asyncio.run(set_privacy(SetPrivacy(**arguments), streams, kept, remote=remote))


def kept() -> Privacy:
    return Privacy.of_service()


def test_a_streams_name_is_a_name_here_too() -> None:
    assert states._STREAM.pattern == names._NAME.pattern


@given(held=HELD)
def test_what_is_written_is_read(held: dict[str, str]) -> None:
    assert dict(parsed(json.dumps(held).encode()).held) == held


@given(data=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_other_content_is_refused(data: bytes) -> None:
    try:
        found = parsed(data)
    except (ValueError, RecursionError):
        return
    value = json.loads(data)
    assert isinstance(value, dict)
    assert dict(found.held) == value
    assert set(value.values()) <= {"local", "anyone"}


@given(held=HELD.filter(bool), share=st.floats(0, 1, exclude_max=True))
def test_a_part_of_a_file_never_allows_to_capture(held: dict[str, str], share: float) -> None:
    data = json.dumps(held).encode()
    with pytest.raises(ValueError, match=r"."):
        parsed(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "content",
    (b"", b"{", b"[]", b"null", b'{"camera": false}', b'{"Camera": "local"}', b"\xff", b"[" * 4000, b" " * 5000),
)
def test_a_file_that_cannot_be_read_means_all_streams_and_is_lifted_on_the_box_only(
    folder: Path, content: bytes
) -> None:
    (folder / NAME).write_bytes(content)
    assert kept() == UNKNOWN
    assert kept().covers("camera")
    with pytest.raises(CallError, match="on the device itself"):
        turned(KeptPrivacy(), both(), on=False, remote=True)
    assert (folder / NAME).read_bytes() == content
    turned(KeptPrivacy(), both(), on=False)
    assert kept() == Privacy()


@pytest.mark.parametrize("make", (os.mkdir, os.mkfifo))
def test_something_else_than_a_file_means_all_streams(folder: Path, make: Any) -> None:
    make(folder / NAME)
    assert kept().covers("anything")


def test_without_a_file_everything_is_captured(folder: Path) -> None:
    assert not kept().covers("camera")
    assert list(folder.iterdir()) == []


def test_it_is_kept_before_the_answer(folder: Path) -> None:
    privacy, streams = KeptPrivacy(), both()
    answer = turned(privacy, streams, on=True, stream="camera")
    assert (answer.text, answer.all, answer.streams) == ("privacy is on for camera", False, ("camera",))
    assert json.loads((folder / NAME).read_text()) == {"camera": "anyone"}
    assert streams["camera"].done == ["conceal", "wait"]
    assert streams["microphone"].done == []
    assert [kept().covers(each) for each in ("camera", "microphone")] == [True, False]

    assert turned(privacy, streams, on=False, stream="camera", remote=True).text == "privacy is off"
    assert kept() == Privacy()
    assert streams["camera"].done[-1] == "reveal"


def test_all_covers_streams_that_come_later_and_is_turned_off_as_a_whole(folder: Path) -> None:
    privacy, streams = KeptPrivacy(), both()
    turned(privacy, streams, on=True, stream="microphone")
    answer = turned(privacy, streams, on=True)
    assert (answer.text, answer.all, answer.streams) == ("privacy is on for all", True, ("microphone",))
    assert kept().covers("garden")
    with pytest.raises(CallError, match="can be turned off for all only"):
        turned(privacy, streams, on=False, stream="camera")
    turned(privacy, streams, on=False)
    assert kept() == Privacy()
    assert {each.done[-1] for each in streams.values()} == {"reveal"}
    assert [each.name for each in folder.iterdir()] == [NAME]


def test_what_was_turned_on_with_local_is_turned_off_on_the_box_only(folder: Path) -> None:
    privacy, streams = KeptPrivacy(), both()
    turned(privacy, streams, on=True, stream="camera", local=True)
    for again in ({"on": True, "stream": "camera"}, {"on": True, "stream": "microphone"}):
        turned(privacy, streams, remote=True, **again)  # it stays local
    for lift in ({"on": False}, {"on": False, "stream": "camera"}):
        with pytest.raises(CallError, match="turned off there only"):
            turned(privacy, streams, remote=True, **lift)
    with pytest.raises(CallError, match="can ask for local"):
        turned(privacy, streams, on=True, local=True, remote=True)
    assert json.loads((folder / NAME).read_text()) == {"camera": "local", "microphone": "anyone"}
    turned(privacy, streams, on=False, stream="microphone", remote=True)
    turned(privacy, streams, on=False, stream="camera")
    assert kept() == Privacy()


def test_a_stream_that_is_gone_can_be_turned_off_and_an_unknown_one_cannot_be_turned_on(folder: Path) -> None:
    (folder / NAME).write_text('{"garden": "anyone"}')
    privacy = KeptPrivacy()
    with pytest.raises(CallError, match="there are: camera, microphone"):
        turned(privacy, both(), on=True, stream="shed")
    turned(privacy, both(), on=False, stream="garden")
    assert kept() == Privacy()


def test_a_disk_that_cannot_be_written_lifts_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    privacy, streams = KeptPrivacy(), both()
    turned(privacy, streams, on=True, stream="microphone")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CallError, match=r"privacy stays on: .*privacy\.json cannot be written: No space left"):
        turned(privacy, streams, on=False)
    assert streams["microphone"].done[-1] != "reveal"
    with pytest.raises(CallError, match="privacy is on, but ends with this process"):
        turned(privacy, streams, on=True, stream="camera")
    assert streams["camera"].done[0] == "conceal"
    assert privacy.now.covers("camera")
    assert json.loads((folder / NAME).read_text()) == {"microphone": "anyone"}


def test_a_device_that_stays_open_is_no_success(folder: Path) -> None:
    del folder
    streams = {"camera": FakeStream(killable=False)}
    with pytest.raises(CallError, match="nothing is sent of camera, but a driver hangs"):
        turned(KeptPrivacy(), streams, on=True)


def test_without_a_state_directory_it_is_said_to_end_with_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr("device.state_directory.SERVICE_STATE", tmp_path)
    privacy = KeptPrivacy()
    monkeypatch.setenv("LIVEKIT_DEVICE_PRIVACY", "{}")
    assert "for this process only" in turned(privacy, both(), on=True).text
    assert privacy.now.covers("camera")
    assert KeptPrivacy().now.covers("camera"), "it is lifted when the process executes itself again"
    assert list(tmp_path.iterdir()) == []


def test_a_caller_who_gives_up_leaves_no_half_of_a_change(folder: Path) -> None:
    privacy, streams = KeptPrivacy(), both()

    async def main() -> None:
        call = asyncio.create_task(set_privacy(SetPrivacy(on=True), streams, privacy, remote=False))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        await set_privacy(SetPrivacy(on=True, stream="camera"), streams, privacy, remote=False)  # after the first one

    asyncio.run(main())
    assert json.loads((folder / NAME).read_text()) == {ALL: "anyone", "camera": "anyone"}
