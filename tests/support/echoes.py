"""A simulated room: a loudspeaker, its echo at the microphone, and what the daemon's canceller leaves of it."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from livekit import rtc

from device.media.block import BLOCK_MS, SAMPLE_RATE
from device.speaker.reference import EchoReference
from device.tracks.echo import EchoCanceller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.voice import Samples

FRAME = SAMPLE_RATE // 100
_FULL = 32767
# Samples of a room's noise: -70 dB.
_NOISE = 0.0003
_CAPTURE_LATE_US = 30_000
_BIGGEST_JITTER_US = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A loudspeaker and a microphone.

    delay_ms: from the call of `played` to the sound at the microphone; `reported_ms` is what the daemon believes
    echo_db: the echo's level beside that of the sound itself
    rt60_s: after this time reverberation is lower by 60 dB
    ppm: how much faster the speaker's clock is
    """

    delay_ms: int = 120
    wrong_by_ms: int = 0
    echo_db: float = -6.0
    rt60_s: float = 0.3
    ppm: float = 0.0

    def response(self) -> Samples:
        """Return the impulse response: the direct sound, and noise that decays."""
        count = round(self.rt60_s * SAMPLE_RATE)
        found = np.random.default_rng(60).normal(0, 1, count) * 10 ** (-3 * np.arange(count) / count)
        found[0] = 4.0
        return np.asarray(found / np.sqrt(np.sum(found**2)) * 10 ** (self.echo_db / 20))

    def echo(self, played: Samples) -> Samples:
        """Return what the microphone hears of it."""
        late = round(self.delay_ms * SAMPLE_RATE / 1000)
        heard = np.concatenate((np.zeros(late), convolved(played, self.response())))[: len(played)]
        if self.ppm:
            at = np.arange(len(heard))
            heard = np.interp(at * (1 + self.ppm / 1e6), at, heard)
        return heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """echo: at the microphone, left: what the daemon publishes, cpu_us: of the canceller per 10 ms."""

    echo: Samples
    left: Samples
    cpu_us: float

    def lower_by_db(self, begin_s: float, end_s: float) -> float:
        """Return by how much the echo has become lower in this time."""
        part = slice(round(begin_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE))
        return level_db(self.echo[part]) - level_db(self.left[part])


@dataclass(slots=True, kw_only=True)
class _Clock:
    now_us: int = field(default=0)


def convolved(samples: Samples, response: Samples) -> Samples:
    size = 1 << (len(samples) + len(response)).bit_length()
    found = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    return np.asarray(found[: len(samples)])


def level_db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-12))


def pcm(samples: Samples) -> bytes:
    return np.clip(samples * _FULL, -_FULL, _FULL).astype("<i2").tobytes()


def heard(room: Room, *, played: Samples, near: Samples, talks: npt.NDArray[np.bool_] | None = None) -> Heard:
    """Run the daemon's own canceller in virtual time, with calls that jitter as those of a daemon do.

    `talks` says for each 10 ms whether the speaker's worker is given a block; by default always.
    """
    echo = room.echo(played)
    noise = np.random.default_rng(70).normal(0, _NOISE, len(near))
    microphone, speaker = pcm(echo + near + noise), pcm(played)
    clock = _Clock()
    reference = EchoReference(now_us=lambda: clock.now_us)
    reader = reference.reader()
    samples = bytearray(FRAME * 2)
    frame = rtc.AudioFrame(samples, SAMPLE_RATE, 1, FRAME)
    canceller = EchoCanceller(frame)
    left, spent_s = bytearray(), 0.0
    for now_us, captured_at_us, number in _calls(len(near) // FRAME):
        clock.now_us = now_us
        part = slice(number * FRAME * 2, (number + 1) * FRAME * 2)
        if captured_at_us is None:
            if talks is None or talks[number]:
                reference.played(speaker[part], delay_ms=room.delay_ms + room.wrong_by_ms)
            continue
        samples[:] = microphone[part]
        began_s = time.process_time()
        canceller.cancel(reader.at(captured_at_us), lead_us=reader.lead_us)
        spent_s += time.process_time() - began_s
        left += samples
    found = np.frombuffer(bytes(left), "<i2").astype(np.float64) / _FULL
    return Heard(echo=echo[: len(found)], left=found, cpu_us=spent_s / (len(found) // FRAME) * 1e6)


def _calls(count: int) -> Iterator[tuple[int, int | None, int]]:
    """Yield when each block of 10 ms is played or arrives, in order: its time of capture, and its number."""
    random = np.random.default_rng(10)
    calls: list[tuple[int, int, int | None, int]] = []
    arrives_us = 0
    frames = BLOCK_MS // 10
    for number in range(count):
        jitter_us = int(random.integers(_BIGGEST_JITTER_US))
        heapq.heappush(calls, (number * 10_000 + jitter_us, number, None, number))
        if number % frames == 0:
            arrives_us = (number + frames) * 10_000 + _CAPTURE_LATE_US + int(random.integers(_BIGGEST_JITTER_US))
        heapq.heappush(calls, (arrives_us, count + number, number * 10_000 + jitter_us // 2, number))
    while calls:
        now_us, _order, captured_at_us, number = heapq.heappop(calls)
        yield now_us, captured_at_us, number
