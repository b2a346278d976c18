"""What the speaker plays, as the microphones need it: in step, whatever the times of the calls are."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from device.speaker.reference import BLOCK_US, LEAD_US, SILENCE, EchoReader, EchoReference, SteadyTimes

_LATE_US = 30_000  # from capture to arrival


@dataclass(slots=True, kw_only=True)
class Scene:
    """A speaker and a microphone in virtual time."""

    delay_ms: int = 120
    duck: bool = False
    now_us: int = 5_000_000
    reference: EchoReference = field(init=False)
    reader: EchoReader = field(init=False)

    def __post_init__(self) -> None:
        self.reference = EchoReference(duck=self.duck, now_us=lambda: self.now_us)
        self.reader = self.reference.reader()

    def step(self, block: bytes | None, *, jitter_us: int = 0) -> bytes | None:
        """Let 10 ms pass: play a block, if there is one, and return what the next microphone block hears."""
        self.now_us += BLOCK_US
        if block is not None:
            self.reference.played(block, delay_ms=self.delay_ms + jitter_us // 1000)
        return self.reader.at(self.captured_at_us + jitter_us)

    @property
    def captured_at_us(self) -> int:
        return self.now_us - _LATE_US


def numbered(number: int) -> bytes:
    return number.to_bytes(4, "little") * (len(SILENCE) // 4)


def test_each_block_is_given_so_long_before_it_is_heard() -> None:
    scene = Scene()
    played_at: dict[bytes, int] = {}
    for number in range(1, 200):
        found = scene.step(block := numbered(number))
        played_at[block] = scene.now_us
        if found is not None:
            heard_at_us = played_at[found] + scene.delay_ms * 1000
            assert abs(heard_at_us - scene.captured_at_us - LEAD_US) <= BLOCK_US
    assert found is not None


def test_blocks_follow_each_other_without_a_gap_although_times_jitter() -> None:
    scene, chance = Scene(), random.Random(5)
    found = [scene.step(numbered(number), jitter_us=chance.randrange(-8000, 8000)) for number in range(1, 3000)]
    heard = [each for each in found if each is not None]
    first = int.from_bytes(heard[0][:4], "little")
    assert heard == [numbered(number) for number in range(first, first + len(heard))]


def test_nothing_is_to_be_cancelled_before_and_after_what_is_played() -> None:
    scene = Scene()
    assert [scene.step(None) for _ in range(50)] == [None] * 50
    for number in range(100):
        scene.step(numbered(number + 1))
    after = [scene.step(None) for _ in range(100)]
    assert after[0] is not None
    assert after[-60:] == [None] * 60


def test_after_a_gap_blocks_are_given_at_their_place_again() -> None:
    scene = Scene()
    played_at: dict[bytes, int] = {}
    for number in range(1, 200):
        found = scene.step(block := numbered(number) if number not in range(50, 54) else None)
        if block is not None:
            played_at[block] = scene.now_us
        if number > 100:
            assert found is not None
            heard_at_us = played_at[found] + scene.delay_ms * 1000
            assert abs(heard_at_us - scene.captured_at_us - LEAD_US) <= 2 * BLOCK_US


def test_with_delays_that_are_too_short_the_lead_becomes_shorter() -> None:
    scene = Scene(delay_ms=10)
    found = [scene.step(numbered(number)) for number in range(1, 60)]
    assert scene.reader.lead_us < LEAD_US
    last = [each for each in found[-20:] if each is not None]
    assert SILENCE not in last
    assert len(last) == 20


def test_another_talk_begins_with_its_own_first_block() -> None:
    scene = Scene()
    for number in range(1, 100):
        scene.step(numbered(number))
    for _ in range(300):
        scene.step(None)
    found = [scene.step(numbered(number)) for number in range(1000, 1050)]
    heard = [each for each in found if each is not None]
    assert heard[0] == numbered(1000)


def test_half_duplex_mutes_from_before_the_sound_until_300_ms_after_it() -> None:
    scene = Scene(duck=True)
    silent: list[int] = []
    loud = range(100, 200)
    for number in range(400):
        found = scene.step(numbered(number) if number in loud else SILENCE)
        assert found is None
        if scene.reader.ducks(scene.captured_at_us):
            silent.append(number)
    assert silent == list(range(silent[0], silent[-1] + 1))
    heard_late = (scene.delay_ms * 1000 + _LATE_US) // BLOCK_US  # until the microphone's blocks with it arrive
    assert loud[0] + heard_late - 6 <= silent[0] < loud[0] + heard_late
    assert loud[-1] + heard_late + 29 <= silent[-1] <= loud[-1] + heard_late + 32


def test_steady_times_follow_a_clock_that_is_faster() -> None:
    times = SteadyTimes()
    for number in range(10_000):
        measured_us = 1_000_000 + round(number * BLOCK_US * 1.0005)
        found_us = times.of(measured_us)
    assert abs(found_us - measured_us) < 1000
    assert times.of(measured_us + 1_000_000) == measured_us + 1_000_000
