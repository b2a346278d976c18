"""The tone of `check`: it is heard in noise, later, quieter and off by a clock; noise alone is never taken for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from device.check import tone
from device.media.block import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_NOISE_S, _LISTEN_S = 0.6, 2.0
_FULL = 32767


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def pcm(samples: Floats, channels: int = 1) -> bytes:
    return np.repeat(np.clip(np.round(samples * _FULL), -32768, 32767).astype(np.int16), channels).tobytes()


def seconds(duration_s: float) -> Floats:
    return np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE


def white(generator: np.random.Generator, duration_s: float, level_db: float = -40.0) -> Floats:
    return generator.normal(0, 10 ** (level_db / 20), round(duration_s * SAMPLE_RATE))


def the_tone(*, gain_db: float, clock_ppm: float = 0.0) -> Floats:
    played = np.frombuffer(tone.tone(), np.int16) / _FULL * 10 ** (gain_db / 20)
    at = np.arange(len(played)) * (1 + clock_ppm / 1e6)
    result: Floats = np.interp(at, np.arange(len(played)), played)
    return result


def listening(sound: Floats, *, after_s: float) -> Floats:
    whole = np.zeros(round(_LISTEN_S * SAMPLE_RATE))
    begin = round(after_s * SAMPLE_RATE)
    whole[begin : begin + len(sound)] += sound
    return whole


def test_the_tone_begins_and_ends_without_a_click() -> None:
    samples = np.frombuffer(tone.tone(), np.int16).astype(int)
    assert len(samples) == SAMPLE_RATE * tone.TONE_MS // 1000
    assert np.abs(samples).max() == pytest.approx(_FULL * 10 ** (tone.TONE_DB / 20), rel=0.01)
    assert max(abs(samples[:100]).max(), abs(samples[-100:]).max()) < 0.12 * np.abs(samples).max()


@pytest.mark.parametrize("channels", (1, 2))
@pytest.mark.parametrize("after_s", (0.0, 0.13, 0.5, 1.1))
def test_the_tone_is_heard_at_its_level(after_s: float, channels: int) -> None:
    silence = pcm(np.zeros(round(_NOISE_S * SAMPLE_RATE)), channels)
    found = tone.heard(silence, pcm(listening(the_tone(gain_db=-11), after_s=after_s), channels), channels=channels)
    assert found.level_db == pytest.approx(-23, abs=0.5)
    assert str(found).startswith("heard at -23 dB")


@pytest.mark.parametrize("clock_ppm", (-500, 500))
def test_another_clock_is_no_other_tone(clock_ppm: float) -> None:
    during = listening(the_tone(gain_db=-20, clock_ppm=clock_ppm), after_s=0.3)
    found = tone.heard(pcm(np.zeros(SAMPLE_RATE // 2)), pcm(during), channels=1)
    assert found.level_db == pytest.approx(-32, abs=1)


@pytest.mark.parametrize("seed", range(8))
def test_the_tone_is_heard_in_noise_that_is_louder_than_it(seed: int) -> None:
    generator = random(seed)
    noise = white(generator, _NOISE_S), white(generator, _LISTEN_S)  # -40 dB; the tone's own level is -42 dB
    during = noise[1] + listening(the_tone(gain_db=-30), after_s=0.2)
    found = tone.heard(pcm(noise[0]), pcm(during), channels=1)
    assert found.level_db == pytest.approx(-42, abs=2)
    assert found.noise_db < -55


def hum(generator: np.random.Generator, duration_s: float) -> Floats:
    """Return a motor that starts: harmonics of 60 Hz up to 3 kHz, growing."""
    time_s = seconds(duration_s)
    waves = [np.sin(2 * np.pi * 60 * each * time_s + generator.uniform(0, 6)) for each in range(1, 50)]
    total: Floats = np.sum(waves, axis=0) * np.linspace(0, 0.01, len(time_s))
    return total


def claps(generator: np.random.Generator, duration_s: float) -> Floats:
    decay: Floats = np.exp(-20 * (seconds(duration_s) % 0.4)) * white(generator, duration_s, -10)
    return decay


def sweep(generator: np.random.Generator, duration_s: float) -> Floats:
    """Return a whistle that glides through the tone's frequency."""
    time_s = seconds(duration_s)
    begin, end = generator.uniform(1000, 1800), generator.uniform(2500, 3000)
    wave: Floats = 0.3 * np.sin(2 * np.pi * (begin * time_s + (end - begin) * time_s**2 / (2 * duration_s)))
    return wave


def voice(generator: np.random.Generator, duration_s: float) -> Floats:
    """Return vowels: harmonics of a pitch that moves, in syllables."""
    time_s = seconds(duration_s)
    moving = 1 + 0.03 * np.sin(2 * np.pi * generator.uniform(3, 6) * time_s)
    phase = np.cumsum(generator.uniform(90, 250) * moving) / SAMPLE_RATE
    waves = [np.sin(2 * np.pi * each * phase) / each for each in range(1, 30)]
    syllables = np.clip(np.sin(2 * np.pi * 3 * time_s), 0, 1)
    total: Floats = 0.2 * np.sum(waves, axis=0) * syllables
    return total


def music(generator: np.random.Generator, duration_s: float) -> Floats:
    """Return long notes of a piano's range with overtones."""
    time_s = seconds(duration_s)
    notes = 440 * 2 ** (generator.integers(-24, 36, 5) / 12)
    waves = [np.sin(2 * np.pi * note * each * time_s) / each**2 for note in notes for each in (1, 2, 4)]
    total: Floats = 0.05 * np.sum(waves, axis=0)
    return total


@pytest.mark.parametrize("noise", (white, hum, claps, sweep, voice, music))
def test_a_room_that_becomes_loud_is_not_the_tone(noise: Callable[[np.random.Generator, float], Floats]) -> None:
    for seed in range(12):
        generator = random(seed)
        before = pcm(white(generator, _NOISE_S, -60))
        during = pcm(noise(generator, _LISTEN_S) + white(generator, _LISTEN_S, -60))
        assert tone.heard(before, during, channels=1).level_db is None, seed


def test_a_tone_that_was_there_before_is_not_ours() -> None:
    whole = 0.1 * np.sin(2 * np.pi * tone.TONE_HZ * seconds(_NOISE_S + _LISTEN_S))
    split = round(_NOISE_S * SAMPLE_RATE)
    found = tone.heard(pcm(whole[:split]), pcm(whole[split:]), channels=1)
    assert found.level_db is None
    assert str(found) == "not heard, the noise is at -20 dB"


def test_a_beep_shorter_than_the_tone_is_not_ours() -> None:
    beep = 0.3 * np.sin(2 * np.pi * tone.TONE_HZ * seconds(0.35))
    assert tone.heard(b"", pcm(listening(beep, after_s=0.4)), channels=1).level_db is None


@pytest.mark.parametrize("captured", (b"", bytes(1000), bytes(SAMPLE_RATE * 4)))
def test_without_sound_nothing_is_heard(captured: bytes) -> None:
    found = tone.heard(captured, captured, channels=1)
    assert (found.level_db, found.noise_db) == (None, -120)
