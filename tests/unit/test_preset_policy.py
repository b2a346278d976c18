"""The automatic preset of x264, in virtual time, on simulated processors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.encoders.x264_presets import PRESETS, PresetPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

FASTEST, *_, BEST = PRESETS
HOUR_S = 3600.0


@dataclass(slots=True, kw_only=True)
class Board:
    """Encodes in virtual time: `cost_s` is ultrafast's, `wait(t)` the part of that time without a processor."""

    cost_s: float
    fps: float = 30.0
    wait: Callable[[float], float] = lambda _now: 0.0
    lost: Callable[[float, str], int] = lambda _now, _preset: 0
    policy: PresetPolicy = field(default_factory=PresetPolicy)
    now_s: float = 5000.0
    missed: int = 0
    changes: list[tuple[float, str]] = field(default_factory=list)

    def run(self, seconds: float) -> str:
        """Return the preset at the end; `changes` gets those on the way, with their times since the beginning."""
        for _ in range(round(seconds * self.fps)):
            since_s, before = self.now_s - 5000.0, self.policy.preset
            ran_s = self.cost_s * PRESETS[before]
            self.missed += self.lost(since_s, before)
            after = self.policy.update(
                self.now_s,
                took_s=ran_s * (1 + self.wait(since_s)),
                ran_s=ran_s,
                period_s=1 / self.fps,
                missed=self.missed,
            )
            if after != before:
                self.changes.append((since_s, after))
            self.now_s += 1 / self.fps
        return self.policy.preset


def test_a_fast_board_gets_the_best_preset_step_by_step_and_keeps_it() -> None:
    board = Board(cost_s=0.002)
    assert board.run(9) == FASTEST
    assert board.run(21) == BEST
    assert [preset for _, preset in board.changes] == [*PRESETS][1:]
    board.run(HOUR_S)
    assert len(board.changes) == len(PRESETS) - 1


def test_a_preset_is_not_tried_if_it_would_take_too_long() -> None:
    assert Board(cost_s=0.0045).run(600) == "superfast"  # veryfast: 13 ms of 33
    assert Board(cost_s=0.012).run(600) == FASTEST
    assert Board(cost_s=0.0045, fps=15).run(600) == BEST  # 13 ms of 67
    assert Board(cost_s=0.012, fps=5).run(600) == FASTEST  # it would add 20 ms to the latency


def test_late_pictures_bring_a_faster_preset_at_once() -> None:
    board = Board(cost_s=0.003)
    assert board.run(60) == BEST
    board.cost_s = 0.013  # other work on the same processor, a hot board that slows down
    board.run(0.5)
    assert board.policy.preset == "superfast"
    board.run(2)
    assert board.policy.preset == FASTEST


def test_pictures_that_the_source_loses_count_as_late() -> None:
    board = Board(cost_s=0.002, lost=lambda now, preset: int(now >= 60 and preset == BEST))
    board.run(60)
    assert board.policy.preset == BEST
    assert board.run(0.2) == "superfast"
    lost_at_the_start = Board(cost_s=0.002, missed=500)
    assert lost_at_the_start.run(60) == BEST


def test_single_late_pictures_are_forgiven() -> None:
    board = Board(cost_s=0.002, lost=lambda now, _preset: int(round(now * 30) % 90 == 0))
    assert board.run(60) == BEST


def test_a_processor_that_others_need_is_given_back() -> None:
    """Pictures are not late yet, but each waits for a processor."""
    board = Board(cost_s=0.002, wait=lambda now: 1.0 if 60 <= now < 200 else 0.0)
    board.run(60)
    assert board.policy.preset == BEST
    board.run(15)
    assert board.policy.preset == "superfast"
    board.run(60)
    assert board.policy.preset == FASTEST
    assert board.run(600) == BEST


def test_a_busy_processor_is_not_used_further() -> None:
    assert Board(cost_s=0.002, wait=lambda _now: 0.4).run(600) == FASTEST


def test_a_preset_that_fails_is_tried_less_and_less() -> None:
    """The board looks fast enough until the preset runs: each try costs a key frame and late pictures."""
    board = Board(cost_s=0.002, lost=lambda _now, preset: int(preset == BEST))
    board.run(24 * HOUR_S)
    tries = [at_s for at_s, preset in board.changes if preset == BEST]
    assert 20 <= len(tries) <= 32
    assert sum(at_s < HOUR_S for at_s in tries) <= 7


def test_load_after_a_long_time_does_not_make_the_next_try_later() -> None:
    board = Board(cost_s=0.002, lost=lambda now, _preset: int(now % 7200 > 7199))
    board.run(12 * HOUR_S)
    seconds_at_best = 12 * HOUR_S - sum(
        after - before
        for (before, preset), (after, _) in zip(board.changes, board.changes[1:], strict=False)
        if preset != BEST
    )
    assert seconds_at_best > 0.95 * 12 * HOUR_S


@given(
    st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 3), st.integers(0, 2)), min_size=1, max_size=400),
    st.sampled_from((1.0, 12.5, 30.0, 120.0)),
)
def test_any_course_keeps_the_rules(course: list[tuple[float, float, int]], fps: float) -> None:
    policy, now_s, missed, changed_at_s = PresetPolicy(), 0.0, 0, float("-inf")
    names = [*PRESETS]
    for ran_s, wait, lost in course:
        before, missed = policy.preset, missed + lost
        after = policy.update(now_s, took_s=ran_s * (1 + wait), ran_s=ran_s, period_s=1 / fps, missed=missed)
        assert abs(names.index(after) - names.index(before)) <= 1
        if after != before:
            assert now_s - changed_at_s >= 1.0
            assert names.index(after) < names.index(before) or now_s - changed_at_s >= 10.0
            changed_at_s = now_s
        now_s += max(1 / fps, ran_s)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_is_slower_than_the_one_before(preset: str) -> None:
    names = [*PRESETS]
    assert all(PRESETS[preset] > PRESETS[name] for name in names[: names.index(preset)])
