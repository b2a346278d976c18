"""A paused camera goes on capturing: pausing, and the loop of what is passed through. The clock is the test's."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from device.ipc.framing import Received
from device.ipc.messages import (
    ForceKeyFrame,
    NotSent,
    SetControls,
    SetKeyFramesOnly,
    SetPaused,
    SetPictureLimits,
    TakeSnapshot,
)
from device.workers import passing, pausing
from device.workers.passing import pass_through
from device.workers.pausing import Pausing
from tests.support.films import FPS, film
from tests.unit.test_bridged_copy import Viewer, annexb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.media.picture import AccessUnit


@dataclass
class Link:
    """A stand-in for the worker's link: requests by the number of the unit before which they come."""

    due: dict[int, list[object]] = field(default_factory=dict)
    number: int = -1
    sent: list[object] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def send(self, message: object) -> None:
        self.sent.append(message)

    def requests(self) -> list[Received]:
        return [Received(message=each, request_id=1) for each in self.due.get(self.number, ())]

    def reply(self, _request: Received, error: str = "") -> None:
        self.replies.append(error)

    def log(self, _level: str, event: str, **_fields: object) -> None:
        self.logged.append(event)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(pausing, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_paused_stream_reports_its_pictures_four_times_a_second_at_most(clock: list[float]) -> None:
    link: Any = Link()
    paused = Pausing(link)
    assert not paused.skips()
    assert link.sent == []
    paused.pause(paused=True)
    skipped = 0
    for _ in range(100):  # 10 s of pictures
        skipped += paused.skips()
        clock[0] += 0.1
    assert skipped == 100
    assert 30 <= len(link.sent) <= 40
    assert set(map(type, link.sent)) == {NotSent}
    paused.pause(paused=False)
    assert not paused.skips()


def test_a_source_that_delivers_nothing_is_not_reported(clock: list[float]) -> None:
    link: Any = Link()
    paused = Pausing(link)
    paused.pause(paused=True)
    assert paused.skips()
    clock[0] += 100.0
    assert len(link.sent) == 1  # what is silent has to be found stalled


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return 4 s of H.264 with one key frame."""
    return annexb(film(tmp_path_factory.mktemp("film") / "film.mp4", gop=1000, times=range(120)))


def passed(link: Link, viewer: Viewer, units: list[bytes], clock: list[float], **more: Any) -> list[int]:
    """Pass units through; return how many had been sent before each of them."""
    before = []

    def source() -> Iterator[AccessUnit]:
        for number, payload in enumerate(units):
            before.append(len(viewer.sent))
            link.number = number
            clock[0] += 1 / FPS
            yield viewer.unit(number, payload)

    pass_through(link, viewer.copy, source(), **more)  # type: ignore[arg-type]
    return [*before, len(viewer.sent)]


def test_what_is_passed_through_is_not_sent_while_paused_and_a_viewer_has_the_newest_picture_then(
    units: list[bytes], clock: list[float]
) -> None:
    link = Link(
        {
            1: [SetKeyFramesOnly(enabled=False)],
            50: [SetPaused(paused=True)],
            90: [SetPaused(paused=False), SetKeyFramesOnly(enabled=True)],
            100: [SetKeyFramesOnly(enabled=False)],
        }
    )
    viewer = Viewer()
    sent = passed(link, viewer, units, clock)
    assert sent[90] == sent[50] > 0
    assert sent[91] == sent[90] + 1
    assert viewer.numbers(since=sent[90])[0] == 90  # decodable by itself, although the source's key frame is 3 s old
    assert viewer.numbers(since=sent[90])[-1] == 119
    assert set(link.replies) == {""}
    assert 4 <= len(link.sent) <= 6  # in 1.3 s
    assert link.logged == []


def test_a_worker_that_starts_while_nobody_watches_sends_nothing(units: list[bytes], clock: list[float]) -> None:
    link, viewer = Link({0: [SetPaused(paused=True)]}), Viewer()
    assert passed(link, viewer, units, clock)[-1] == 0
    assert len(link.sent) > 10


def test_requests_are_carried_out_while_it_is_paused(units: list[bytes], clock: list[float]) -> None:
    limits = SetPictureLimits(width=96, height=54, fps=15)
    link = Link(
        {
            0: [SetPaused(paused=True)],
            5: [ForceKeyFrame(), limits, limits, SetControls(controls={"gain": 3})],
            60: [TakeSnapshot(max_width=0, quality=80, full=False)],
        }
    )
    viewer, controls, snapshots = Viewer(), [], []
    viewer.copy.take_snapshot = lambda request, _link: snapshots.append(request)  # type: ignore[method-assign, assignment]

    def set_controls(wanted: Any) -> str:
        controls.append(wanted)
        return "gain is fixed"

    assert passed(link, viewer, units, clock, set_controls=set_controls)[-1] == 0
    assert controls == [{"gain": 3}]
    assert link.replies == ["", "", "", "", "gain is fixed"]
    assert link.logged == ["camera.requests_ignored"]  # once
    assert len(snapshots) == 1


def test_what_is_never_paused_loads_nothing_of_it(
    units: list[bytes], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(passing, "_pausing")
    assert passed(Link(), Viewer(), units[:10], clock)[-1] == 10
