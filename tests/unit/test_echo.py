"""The SDK's echo canceller, as the daemon uses it, in a simulated room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from livekit import rtc

from device.media.block import SAMPLE_RATE
from device.tracks.echo import EchoCanceller
from device.tracks.sound_inlet import SoundInlet
from tests.bench.voice import Samples, voice
from tests.support.echoes import FRAME, Room, heard, level_db, pcm

if TYPE_CHECKING:
    from device.tracks.echo import Echo

_SECONDS = 6


@pytest.fixture(scope="module")
def talker() -> Samples:
    return voice(_SECONDS * SAMPLE_RATE, rate=SAMPLE_RATE) * 0.3


@pytest.mark.parametrize(
    "room", (Room(), Room(delay_ms=60, wrong_by_ms=40, ppm=100.0)), ids=("as reported", "40 ms wrong, clocks apart")
)
def test_the_echo_is_lower_by_20_db_within_3_s(room: Room, talker: Samples) -> None:
    found = heard(room, played=talker, near=np.zeros_like(talker))
    assert found.lower_by_db(3, 4) >= 20
    assert found.lower_by_db(4, _SECONDS) >= 20


def test_near_speech_stays_as_loud(talker: Samples) -> None:
    found = heard(Room(), played=np.zeros_like(talker), near=talker)
    assert -3 <= level_db(found.left) - level_db(talker) <= 1


def test_sound_is_untouched_while_the_speaker_plays_nothing(talker: Samples) -> None:
    nothing = np.zeros(len(talker) // FRAME, bool)
    found = heard(Room(), played=talker, near=talker, talks=nothing)
    assert np.max(np.abs(found.left - found.echo - talker[: len(found.left)])) < 0.01


def test_a_second_talk_begins_with_what_was_learned_in_the_first(talker: Samples) -> None:
    pause = np.zeros(2 * SAMPLE_RATE)
    played = np.concatenate((talker, pause, talker[:SAMPLE_RATE]))
    talks = np.concatenate(
        (np.ones(len(talker) // FRAME + 50, bool), np.zeros(150, bool), np.ones(SAMPLE_RATE // FRAME, bool))
    )
    found = heard(Room(), played=played, near=np.zeros_like(played), talks=talks)
    assert found.lower_by_db(_SECONDS + 2.3, _SECONDS + 3) >= 20


def test_it_is_faded_in_and_out() -> None:
    time = np.arange(60 * FRAME) / SAMPLE_RATE
    tone = pcm(np.sin(2 * np.pi * 440 * time) * 0.3)
    samples = bytearray(FRAME * 2)
    canceller = EchoCanceller(rtc.AudioFrame(samples, SAMPLE_RATE, 1, FRAME))
    found = bytearray()
    for number in range(60):
        samples[:] = tone[number * FRAME * 2 : (number + 1) * FRAME * 2]
        canceller.cancel(bytes(FRAME * 2) if 10 <= number < 40 else None, lead_us=50_000)
        found += samples
    steps = np.abs(np.diff(np.frombuffer(bytes(found), "<i2").astype(int)))
    largest = 2 * np.pi * 440 / SAMPLE_RATE * 0.3 * 32767
    assert steps.max() < largest * 1.5
    assert found[: 10 * FRAME * 2] == tone[: 10 * FRAME * 2]
    assert found[41 * FRAME * 2 :] == tone[41 * FRAME * 2 :]


class Speaker:
    """What plays, as a test wants it."""

    lead_us = 50_000

    def __init__(self) -> None:
        self.asked_us: list[int] = []
        self.silent = False

    def at(self, captured_at_us: int) -> bytes | None:
        self.asked_us.append(captured_at_us)
        return None

    def ducks(self, _captured_at_us: int) -> bool:
        return self.silent


def test_the_inlet_asks_for_each_frame_by_its_time_of_capture() -> None:
    speaker = Speaker()
    _give(speaker, (bytes(FRAME * 3), 1_015_000), (bytes(FRAME * 3), 1_030_000))
    assert speaker.asked_us == [1_000_000, 1_010_000, 1_020_000]


def test_a_microphone_that_is_ducked_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    speaker = Speaker()
    speaker.silent = True
    fed = _give(speaker, (b"\1" * FRAME * 2, 1_010_000), monkeypatch=monkeypatch)
    assert fed == bytes(FRAME * 2)
    assert speaker.asked_us == []


def _give(speaker: Echo, *given: tuple[bytes, int], monkeypatch: pytest.MonkeyPatch | None = None) -> bytes:
    """Give sound to an inlet; return what the SDK gets."""
    fed = bytearray()

    async def scenario() -> None:
        inlet = SoundInlet(1, echo=speaker)
        if monkeypatch is not None:
            monkeypatch.setattr(inlet._feed, "capture", lambda: fed.extend(inlet._samples))
        for samples, ends_at_us in given:
            inlet.give(samples, ends_at_us=ends_at_us)
        await inlet.aclose()

    asyncio.run(scenario())
    return bytes(fed)
