"""Where blocks of sound belong in time: simulated sources that are late, pause, lose samples, or have another clock."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.media.block import BLOCK_MS, BLOCK_SAMPLES, SAMPLE_RATE
from device.tracks.sound_timeline import PAUSE_US, STEP_US, SoundTimeline

_US = 1_000_000
_BLOCK_US = BLOCK_MS * 1000
_START_US = 1_000_000_000


@dataclass
class Listener:
    """Drives a timeline as the track does, and counts what the SDK would be given."""

    timeline: SoundTimeline = field(default_factory=lambda: SoundTimeline(started_at_us=_START_US))
    now_us: int = _START_US
    silence: int = 0
    sound: int = 0
    dropped: int = 0

    def wait(self, until_us: int) -> None:
        while (look_us := self.timeline.next_look_us()) < until_us:
            self.now_us = max(self.now_us + 1, look_us)
            self.silence += self.timeline.silence(self.now_us)
        self.now_us = max(self.now_us, until_us)

    def block(self, captured_at_us: int, *, quiet: bool = False, settling: bool = False) -> None:
        silence, skip = self.timeline.block(
            captured_at_us, BLOCK_SAMPLES, now_us=self.now_us, settling=settling, is_quiet=lambda: quiet
        )
        self.silence += silence
        self.sound += BLOCK_SAMPLES - skip
        self.dropped += skip

    def stream(self, first: int, last: int, *, late_us: int = 0) -> None:
        """Deliver the blocks with these numbers, each `late_us` after its end."""
        for number in range(first, last):
            captured_at_us = _START_US + number * _BLOCK_US
            self.wait(captured_at_us + _BLOCK_US + late_us)
            self.block(captured_at_us)

    @property
    def lead_us(self) -> int:
        """How far the samples are ahead of the time; a block has just been captured."""
        return self.timeline.end_us - self.now_us

    def check(self) -> None:
        """Each sample that was given is counted."""
        assert self.timeline.end_us - _START_US == pytest.approx((self.silence + self.sound) * _US / SAMPLE_RATE, abs=2)


def test_an_even_source_gets_neither_silence_nor_cuts() -> None:
    listener = Listener()
    listener.stream(0, 500)
    assert (listener.silence, listener.dropped, listener.lead_us) == (0, 0, 0)
    listener.check()


@settings(max_examples=30)
@given(st.lists(st.integers(0, PAUSE_US - _BLOCK_US - 1), max_size=200))
def test_late_arrival_changes_nothing(lateness_us: list[int]) -> None:
    """Whatever makes blocks late, short of a pause, all of them are given, without silence between them."""
    listener = Listener()
    listener.stream(0, 10)
    for number, late_us in enumerate(lateness_us, 10):
        captured_at_us = _START_US + number * _BLOCK_US
        listener.wait(max(listener.now_us, captured_at_us + _BLOCK_US + late_us))
        listener.block(captured_at_us)
    assert (listener.silence, listener.dropped) == (0, 0)


@settings(max_examples=30)
@given(pause_us=st.integers(2 * PAUSE_US, 60 * _US), late_us=st.integers(0, 25_000))
def test_a_pause_is_filled_and_sound_is_back_in_step(pause_us: int, late_us: int) -> None:
    listener = Listener()
    listener.stream(0, 50, late_us=late_us)
    paused_at_us = listener.timeline.end_us
    blocks = pause_us // _BLOCK_US
    listener.wait(paused_at_us + blocks * _BLOCK_US)
    behind_us = listener.now_us - listener.timeline.end_us
    assert 0 <= behind_us <= PAUSE_US + STEP_US
    listener.stream(50 + blocks, 100 + blocks, late_us=late_us)
    assert listener.lead_us == pytest.approx(-late_us, abs=40)
    assert listener.dropped <= 3 * BLOCK_SAMPLES
    assert listener.silence - listener.dropped == pytest.approx(blocks * BLOCK_SAMPLES, abs=2)
    listener.check()


def test_sound_whose_time_was_filled_is_dropped() -> None:
    listener = Listener()
    listener.stream(0, 50)
    listener.wait(listener.now_us + _US)  # the source is suspended, and keeps what it has captured
    for number in range(50, 100):
        listener.block(_START_US + number * _BLOCK_US)
    assert listener.lead_us == pytest.approx(0, abs=40)
    assert 0 < listener.dropped == pytest.approx(listener.silence, abs=2)
    listener.check()


def test_a_source_that_is_late_by_more_than_silence_leaves_room_for_goes_on_after_a_pause() -> None:
    late_us = 250_000
    listener = Listener()
    listener.stream(0, 50, late_us=late_us)
    listener.stream(100, 200, late_us=late_us)
    assert listener.dropped <= 26 * BLOCK_SAMPLES  # at the start and after the pause
    assert listener.lead_us == pytest.approx(-late_us, abs=40)


def test_lost_samples_become_silence() -> None:
    listener = Listener()
    listener.stream(0, 50)
    listener.stream(57, 100)  # 140 ms are missing, which is no pause yet
    assert listener.silence == pytest.approx(7 * BLOCK_SAMPLES, abs=2)
    assert listener.lead_us == pytest.approx(0, abs=40)


def test_a_capture_time_that_is_too_late_alone_changes_nothing() -> None:
    """A read that returned late, whose sound server does not say how much it still has."""
    listener = Listener()
    listener.stream(0, 50)
    listener.block(listener.now_us + 17_000 - _BLOCK_US)  # such a source's times are not exact
    listener.wait(listener.now_us + 70_000)
    for _ in range(3):  # all at once, and all with the time of now
        listener.block(listener.now_us - _BLOCK_US)
    listener.stream(54, 100)
    assert (listener.silence, listener.dropped) == (0, 0)


def test_old_sound_with_new_times_is_dropped() -> None:
    """A sound server begins with a burst of what it had buffered."""
    listener = Listener()
    listener.wait(_START_US + _US)
    for _ in range(20):
        listener.block(listener.now_us - _BLOCK_US, settling=True)
    assert listener.lead_us <= 60_000
    assert listener.dropped > 15 * BLOCK_SAMPLES


def test_the_times_of_a_new_source_count_once_it_has_settled() -> None:
    """Else its clock would be steered for many seconds, and a tone be heard as another."""
    listener = Listener()
    listener.wait(_START_US + _US)
    listener.block(listener.now_us - _BLOCK_US, settling=True)
    listener.block(listener.now_us - _BLOCK_US, settling=True)
    listener.wait(listener.now_us + _BLOCK_US)
    assert listener.lead_us == pytest.approx(0, abs=40)
    listener.block(listener.now_us - _BLOCK_US, settling=True)
    listener.wait(listener.now_us + _BLOCK_US)
    listener.block(listener.now_us - _BLOCK_US)
    assert listener.lead_us == pytest.approx(0, abs=40)
    assert listener.dropped == 0


def test_what_is_ahead_is_cut_where_it_is_quiet() -> None:
    listener = Listener()
    listener.stream(0, 50)
    for _ in range(3):  # 60 ms more than was captured
        listener.block(listener.now_us - _BLOCK_US)
    listener.stream(50, 60)
    assert listener.lead_us == pytest.approx(60_000, abs=40)
    for number in range(60, 70):
        listener.wait(_START_US + (number + 1) * _BLOCK_US)
        listener.block(listener.now_us - _BLOCK_US, quiet=True)
    assert listener.lead_us == pytest.approx(20_000, abs=40)
    assert listener.dropped == 4 * BLOCK_SAMPLES / 2


def test_times_that_do_not_continue_the_earlier_ones_are_followed() -> None:
    """A source whose times are wrong is heard nevertheless, after two seconds."""
    listener = Listener()
    listener.stream(0, 50)
    for number in range(200):
        listener.wait(_START_US + (51 + number) * _BLOCK_US)
        listener.block(number * _BLOCK_US)
    assert listener.sound > 140 * BLOCK_SAMPLES
    listener.stream(252, 300)
    assert listener.silence < SAMPLE_RATE


def test_an_hour_of_suspension_is_not_filled() -> None:
    listener = Listener()
    listener.stream(0, 50)
    listener.now_us += 3600 * _US
    assert listener.timeline.silence(listener.now_us) <= SAMPLE_RATE
    assert listener.timeline.next_look_us() > listener.now_us


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 500_000), st.integers(-(10**12), 10**12), st.booleans(), st.booleans()), max_size=300
    )
)
def test_no_times_of_a_worker_make_it_give_more_than_time_passes(
    blocks: list[tuple[int, int, bool, bool]],
) -> None:
    listener = Listener()
    for wait_us, error_us, quiet, settling in blocks:
        listener.wait(listener.now_us + wait_us)
        listener.block(max(0, listener.now_us + error_us), quiet=quiet, settling=settling)
        assert listener.timeline.next_look_us() > listener.now_us
    passed = (listener.now_us - _START_US) * SAMPLE_RATE // _US
    assert listener.silence <= passed + 10 * SAMPLE_RATE * (1 + len(blocks) // 100)
