"""What the speaker plays, and the queue in its worker, in virtual time."""

from __future__ import annotations

import heapq
import random
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from device.ipc.media_messages import PLAYED_BYTES, PlaySound, SpeakerReport
from device.speaker.mixing import mixed, peak
from device.speaker.playback import ECHO_TAIL_US, Playback
from device.workers.sound_queue import MAX_AGE_MS, SoundQueue

if TYPE_CHECKING:
    from device.ipc.messages import SetPace

BLOCK_US = 10_000


def block(value: int) -> bytes:
    return array("h", [value] * (PLAYED_BYTES // 2)).tobytes()


class Reference:
    def __init__(self) -> None:
        self.blocks: list[tuple[bytes, int]] = []

    def played(self, block: bytes, *, delay_ms: int) -> None:
        self.blocks.append((block, delay_ms))


def playback(sent: list[PlaySound]) -> Playback:
    return Playback(send=sent.append, steer=lambda _request: None)


def report(**fields: Any) -> SpeakerReport:
    given = {"at_us": 0, "queue_ms": 20.0, "target_ms": 20, "output_latency_ms": 30.0, "blocks": 50}
    return SpeakerReport(**(given | {"underruns": 0, "dropped": 0} | fields))


def test_a_block_of_one_talker_goes_on_at_once() -> None:
    sent: list[PlaySound] = []
    found = playback(sent)
    found.feed("a", block(1)[:100], 5)
    assert not sent
    found.feed("a", block(1)[100:] + block(2), 7)
    assert [(peak(each.samples), each.arrived_at_us) for each in sent] == [(1, 7), (2, 7)]


def test_two_are_mixed_and_one_that_falls_silent_holds_up_nobody() -> None:
    sent: list[PlaySound] = []
    found = playback(sent)
    found.feed("a", block(100), 0)
    found.feed("b", block(20), 1)  # that of `a` has gone on
    found.feed("a", block(300), 2)
    assert [peak(each.samples) for each in sent] == [100, 320]
    for at in range(4):
        found.feed("a", block(7), at)
    assert [peak(each.samples) for each in sent[2:]] == [7, 7]
    found.end("b")
    found.feed("a", block(8), 9)
    assert [peak(each.samples) for each in sent[4:]] == [7, 7, 8]
    found.end("a")
    assert not found.active


def test_a_sum_is_limited() -> None:
    assert mixed([block(30_000), block(30_000)]) == block(32_767)
    assert mixed([block(-30_000), block(-30_000)]) == block(-32_768)


def test_an_echo_canceller_gets_each_block_and_silence_where_one_is_late() -> None:
    sent: list[PlaySound] = []
    found, reference = playback(sent), Reference()
    found.reference = reference
    found.reported(report(), 0.0)
    assert not found.fill(0)
    for number in (0, 1, 2, 8, 9):
        now_us = number * BLOCK_US
        found.feed("a", block(number + 1), now_us)
        assert found.fill(now_us)
    assert found.fill(9 * BLOCK_US + ECHO_TAIL_US)
    assert not found.fill(10 * BLOCK_US + ECHO_TAIL_US + 1)
    values = [peak(samples) for samples, _ in reference.blocks]
    assert [each for each in values if each] == [1, 2, 3, 9, 10]
    assert abs(len(values) - (10 + ECHO_TAIL_US // BLOCK_US)) <= 4
    assert {delay_ms for _, delay_ms in reference.blocks} == {50}


def test_old_sound_is_not_played() -> None:
    queue = SoundQueue()
    for number in range(3):
        queue.put(block(number), 0, now_us=number)
    assert queue.take(now_us=MAX_AGE_MS * 1000 + 1) is None
    assert queue.dropped == 3


def test_a_burst_is_cut_to_the_target() -> None:
    queue = SoundQueue()
    for number in range(20):
        queue.put(block(number), 0, now_us=0)
    assert queue.dropped >= 11
    first = queue.take(now_us=0)
    assert first is not None
    assert peak(first) >= 11


def test_what_waited_in_a_silence_is_not_heard_late() -> None:
    queue = SoundQueue()
    for number in range(1, 6):
        queue.put(block(number), 0, now_us=0)
    assert queue.take(now_us=0) == block(4)
    assert queue.dropped == 3


def test_what_is_not_played_has_no_echo() -> None:
    reference = Reference()
    found = Playback(send=lambda _sound: False, steer=lambda _request: None)
    found.reference = reference
    found.feed("a", block(1), 0)
    assert reference.blocks == []


def test_a_sound_shorter_than_the_target_is_played() -> None:
    queue = SoundQueue()
    queue.put(block(1), 0, now_us=0)
    assert queue.take(now_us=5_000) is None
    assert queue.take(now_us=20_000) == block(1)


def test_gaps_raise_the_target_and_a_new_sound_does_not() -> None:
    queue = SoundQueue()
    queue.put(block(1), 0, now_us=0)
    queue.take(now_us=20_000)
    queue.take(now_us=30_000)
    queue.put(block(1), 40_000, now_us=40_000)
    assert (queue.underruns, queue.target_ms) == (1, 30)
    queue.take(now_us=70_000)
    queue.take(now_us=80_000)
    queue.put(block(1), 900_000, now_us=900_000)
    assert (queue.underruns, queue.target_ms) == (1, 30)


@pytest.mark.parametrize("ppm", (500, -500))
def test_thirty_minutes_with_clocks_that_are_far_apart(ppm: int) -> None:
    """The card takes a block each 10 ms of its own clock; blocks come with up to 4 ms of jitter."""
    seconds, drawn, queue, paces = 1800, random.Random(1), SoundQueue(), [0.0]
    found = Playback(send=lambda _sound: None, steer=lambda request: paces.append(_ppm(request)))
    events: list[tuple[float, str]] = [(0.0, "send"), (3_000.0, "take"), (500_000.0, "report")]
    heapq.heapify(events)
    samples, sent, owed, worst_ms = block(1), 0, 0.0, 0.0
    while (event := heapq.heappop(events))[0] < seconds * 1e6:
        now_us, what = event
        if what == "send":
            queue.put(samples, round(now_us), now_us=round(now_us))
            sent += 1
            heapq.heappush(events, (sent * BLOCK_US + drawn.uniform(0, 4000), "send"))
        elif what == "take":
            queue.take(now_us=round(now_us))
            # A block that is played faster or slower takes another time of the card.
            owed = BLOCK_US / (1 + ppm / 1e6) * (1 - paces[-1] / 1e6)
            heapq.heappush(events, (now_us + owed, "take"))
        else:
            blocks, queue_ms = queue.played()
            worst_ms = max(worst_ms, queue_ms)
            found.reported(report(blocks=blocks, queue_ms=queue_ms, target_ms=queue.target_ms), now_us / 1e6)
            heapq.heappush(events, (now_us + 500_000, "report"))
    assert (queue.dropped, queue.underruns) == (0, 0)
    assert worst_ms < 45
    assert abs(paces[-1] + ppm) < 150


def _ppm(request: SetPace) -> float:
    return request.ppm
