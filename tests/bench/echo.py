"""`python -m tests.bench.echo`: what the echo canceller leaves of a talker's voice, and what it costs. By hand.

A synthetic voice is played in a simulated room, in virtual time: reverberation 0.3 s, an echo of -6 dB. The daemon's
own modules run on the SDK.
"""

from __future__ import annotations

import numpy as np

from device.media.block import SAMPLE_RATE
from tests.bench.figures import percentile
from tests.bench.voice import Samples, voice
from tests.support.echoes import Heard, Room, heard, level_db

_SECONDS = 20
_PITCH = 1.5
_PLAYED, _NEAR = 0.3, 0.2
_AFTER = range(3, _SECONDS)


def voices() -> tuple[Samples, Samples]:
    """Return a talker in the room of the viewer, and another one near the microphone."""
    count = _SECONDS * SAMPLE_RATE
    whole = voice(3 * count, rate=SAMPLE_RATE)
    at = np.arange(count) * _PITCH
    near = np.interp(at, np.arange(2 * count), whole[count:])
    return whole[:count] * _PLAYED, np.asarray(near) * _NEAR


def by_second(found: Heard) -> list[float]:
    return [found.lower_by_db(at, at + 1) for at in range(_SECONDS)]


def main() -> None:
    played, near = voices()
    nothing = np.zeros_like(near)
    print("| delay ms | reported ms | ppm apart | lower by dB in second 1 | 2 | 3 | 4 to 20, median | lowest |")
    print("|---|---|---|---|---|---|---|---|")
    cpu_us = []
    for delay_ms in (60, 120, 200):
        for wrong_by_ms in (0, -40, 40):
            for ppm in (0.0, 100.0):
                room = Room(delay_ms=delay_ms, wrong_by_ms=wrong_by_ms, ppm=ppm)
                found = heard(room, played=played, near=nothing)
                cpu_us.append(found.cpu_us)
                first, second, third, *others = by_second(found)
                print(
                    f"| {delay_ms} | {delay_ms + wrong_by_ms} | {ppm:.0f} | {first:.0f} | {second:.0f} | {third:.0f} |"
                    f" {np.median(others):.0f} | {min(others):.0f} |"
                )
    silent, both = heard(Room(), played=nothing, near=near), heard(Room(), played=played, near=near)
    alone = [_change(silent, near, at) for at in _AFTER]
    together = [_change(both, near, at) for at in _AFTER]
    print(
        f"\nNear speech while the speaker plays silence: {np.median(alone):+.1f} dB, lowest second {min(alone):+.1f} dB"
    )
    print(
        f"In double talk, an echo of {_change_of(both.echo, near):+.1f} dB beside it: {np.median(together):+.1f} dB, "
        f"lowest second {min(together):+.1f} dB"
    )
    cost_us = percentile(cpu_us, 50)
    print(f"Processor time: {cost_us:.0f} us per 10 ms, {cost_us / 100:.1f} % of a core")


def _change(found: Heard, near: Samples, second: int) -> float:
    """Return how much louder the microphone is in this second than near speech alone, in dB."""
    part = slice(second * SAMPLE_RATE, (second + 1) * SAMPLE_RATE)
    return level_db(found.left[part]) - level_db(near[part])


def _change_of(echo: Samples, near: Samples) -> float:
    return level_db(echo) - level_db(near)


if __name__ == "__main__":
    main()
