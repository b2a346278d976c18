"""When the slate is shown: at once, each second, to whoever comes, never after the picture is back. Virtual time."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from device.ipc.worker_state import WorkerState
from device.streams.slate import Slate
from tests.unit.virtual_time import run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict

    from device.media.picture import AccessUnit

UNIT, GENERIC = b"\0\0\0\1\x67", b"\0\0\0\1\x68"
DRAWING_S = 0.5


class Quick(Slate):
    """Drawn without a process, in virtual time; the first `failures` drawings fail."""

    def __init__(self, *, failures: int = 0, title: str = "Porch") -> None:
        self.fed: list[tuple[float, AccessUnit]] = []
        self.drawn: list[list[str]] = []
        self._failures = failures
        super().__init__("camera", title=title, width=1280, height=720, deliver=self._deliver_at)

    def _deliver_at(self, unit: AccessUnit) -> None:
        self.fed.append((asyncio.get_running_loop().time() - 1000, unit))

    @property
    def moments(self) -> list[float]:
        return [round(moment, 2) for moment, _ in self.fed]

    async def _draw(self, lines: list[str]) -> bytes:
        await asyncio.sleep(DRAWING_S)
        if lines == ["No picture at this moment"]:
            return GENERIC
        self.drawn.append(lines)
        if len(self.drawn) <= self._failures:
            raise RuntimeError("the slate could not be drawn: MemoryError")
        return UNIT


def played(quick: Quick, *acts: tuple[float, Callable[[], None]], until_s: float) -> list[float]:
    """Act at given seconds of virtual time; return when the slate was fed."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for moment, act in acts:
            loop.call_at(1000 + moment, act)
        await asyncio.sleep(until_s)
        quick.hide()

    run_virtually(main)
    return quick.moments


def test_it_is_repeated_each_second_until_the_picture_is_back() -> None:
    quick = Quick()
    assert played(quick, (0, lambda: quick.show("x")), (5, quick.hide), until_s=20) == [0.5, 1.5, 2.5, 3.5, 4.5]


def test_each_repeat_is_a_key_frame_of_its_own_time_and_number() -> None:
    quick = Quick()
    played(quick, (0, lambda: quick.show("x")), until_s=3600)
    units = [unit for _, unit in quick.fed]
    assert len(units) == 3600
    assert {(unit.payload, unit.key, unit.width, unit.height) for unit in units} == {(UNIT, True, 640, 360)}
    assert [unit.number for unit in units] == list(range(1, 3601))
    assert all(later.captured_at_us > sooner.captured_at_us for sooner, later in pairwise(units))


def test_who_comes_sees_it_at_once_and_once_more_when_the_subscription_stands() -> None:
    quick = Quick()
    moments = played(quick, (0, lambda: quick.show("x")), (2.2, quick.viewer_joined), until_s=5)
    assert moments[:3] == [0.5, 1.5, 2.2]
    assert 2.4 <= moments[3] <= 2.8
    assert moments[4:] == [pytest.approx(moments[3] + 1), pytest.approx(moments[3] + 2)]


def test_a_crowd_makes_no_flood_and_nothing_comes_twice_at_once() -> None:
    quick = Quick()
    crowd = [(1 + each / 50, quick.viewer_joined) for each in range(500)]
    moments = played(quick, (0, lambda: quick.show("x")), *crowd, until_s=20)
    gaps_s = [later - sooner for sooner, later in pairwise(moments)]
    assert max(gaps_s) <= 1.01
    assert sum(gap_s < 0.1 for gap_s in gaps_s) <= len(moments) / 2
    assert len(moments) < 100
    # A receiver takes two units of one time stamp, of 90 kHz, for one.
    times = [unit.captured_at_us for _, unit in quick.fed]
    assert len(set(times)) == len(times)


def test_nobody_is_welcomed_before_it_is_drawn_or_after_it_is_hidden() -> None:
    quick = Quick()
    acts = (
        (0, quick.viewer_joined),
        (1, lambda: quick.show("x")),
        (1.1, quick.viewer_joined),
        (4, quick.hide),
        (5, quick.viewer_joined),
    )
    moments = played(quick, *acts, until_s=10)
    assert moments[0] == 1.5
    assert max(moments) < 4


def test_what_is_shown_stays_with_its_first_reason_and_moment() -> None:
    quick = Quick()
    acts = [(moment, lambda: quick.show(f"reason {len(quick.fed)}")) for moment in (0, 0.1, 3, 30)]
    assert played(quick, *acts, until_s=5) == [0.5, 1.5, 2.5, 3.5, 4.5]
    [[since, why]] = quick.drawn
    assert re.fullmatch(r"No picture since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", since)
    assert why == "reason 0"


def test_privacy_has_a_slate_of_its_own_which_replaces_another_and_is_replaced() -> None:
    quick = Quick()
    acts = (
        (0, lambda: quick.show("stalled")),
        (3, lambda: quick.show("", WorkerState.PRIVACY)),
        (6, lambda: quick.show("", WorkerState.PRIVACY)),
        (9, lambda: quick.show("absent")),
    )
    moments = played(quick, *acts, until_s=12)
    assert [lines[0].partition(" since ")[0] for lines in quick.drawn] == ["No picture", "Privacy", "No picture"]
    assert [lines[1] for lines in quick.drawn] == ["stalled", "The camera is off", "absent"]
    gaps_s = [later - sooner for sooner, later in pairwise(moments)]
    assert max(gaps_s) <= 1.01 + DRAWING_S


def test_it_shows_no_secret_and_one_line() -> None:
    quick = Quick(title="Porch rtsp://admin:hunter2@192.0.2.7")
    played(quick, (0, lambda: quick.show("rtsp://admin:hunter2@192.0.2.7/s\nis away")), until_s=2)
    assert quick.drawn[0][1] == "rtsp://[redacted]@192.0.2.7/s is away"
    assert quick._title == "Porch rtsp://[redacted]@192.0.2.7"


def test_the_next_time_it_says_what_is_wrong_then() -> None:
    quick = Quick()
    acts = ((0, lambda: quick.show("a")), (2, quick.hide), (2, quick.hide), (3, lambda: quick.show("b")))
    assert played(quick, *acts, until_s=5) == [0.5, 1.5, 3.5, 4.5]
    assert [why for _, why in quick.drawn] == ["a", "b"]


def test_a_generic_slate_is_shown_while_the_specific_one_cannot_be_drawn() -> None:
    """Also if the camera has never delivered: nothing had it drawn before then."""
    quick = Quick(failures=10)
    moments = played(quick, (0, lambda: quick.show("x")), until_s=60)
    assert moments[0] < 12
    assert {unit.payload for _, unit in quick.fed} == {GENERIC}
    assert max(later - sooner for sooner, later in pairwise(moments)) < 1.1


def test_a_picture_that_is_back_before_it_is_drawn_is_not_covered() -> None:
    quick = Quick()
    assert played(quick, (0, lambda: quick.show("x")), (0.49, quick.hide), until_s=10) == []


def test_a_drawing_that_fails_is_logged_and_repeated() -> None:
    quick = Quick(failures=3)
    with capture_logs() as lines:
        played(quick, (0, lambda: quick.show("x")), until_s=120)
    assert len(quick.drawn) == 4
    specific = [moment for moment, unit in quick.fed if unit.payload == UNIT]
    assert specific[0] == pytest.approx(3 * 15 + 4 * DRAWING_S)
    assert len(specific) > 60
    told = _failures(lines)
    assert [line["why"] for line in told] == ["the slate could not be drawn: MemoryError"] * 2
    assert [line["times"] for line in told] == [1, 2]


@pytest.mark.parametrize(
    ("size", "shown"),
    (
        ((1280, 720), (640, 360)),
        ((1920, 1080), (640, 360)),
        ((640, 480), (480, 360)),
        ((3840, 2160), (640, 360)),
        ((160, 120), (160, 120)),
        ((3840, 120), (640, 20)),
        ((160, 2160), (46, 640)),
        ((720, 1280), (360, 640)),
        ((1296, 972), (480, 360)),
    ),
)
def test_it_has_the_shape_of_the_picture_and_is_never_large(size: tuple[int, int], shown: tuple[int, int]) -> None:
    stand_in = Slate("camera", title="x", width=size[0], height=size[1], deliver=lambda _: None)
    assert (stand_in._width, stand_in._height) == shown


def _failures(lines: list[EventDict]) -> list[EventDict]:
    return [line for line in lines if line["event"] == "camera.slate_failed"]
