"""How far flash and beep of a device are apart, for a subscriber that is a `Watcher`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench import figures
from tests.support.films import FPS

if TYPE_CHECKING:
    from tests.support.watcher import Watcher

BEEP_LEVEL, _QUIET_S = 4000, 0.5  # the tone has 1600, the beep 9800
_SETTLED_S = 0.6  # a beep may be half a second later than its flash


@dataclass(frozen=True, slots=True)
class Skew:
    """How much later than its flash a beep was heard, and when the flash was seen, in wall-clock seconds."""

    at_s: float
    ms: float


def skews(watcher: Watcher, *, since_s: float) -> list[Skew]:
    """Return the skews of all flashes from a wall-clock time on; flashes without a beep are left out."""
    pictures = [
        (each.reading.number, int(each.epoch_s * 1e6))
        for each in tuple(watcher.pictures)
        if each.reading and each.epoch_s >= since_s
    ]
    blocks = [(each.epoch_s, each.samples[:, 0]) for each in tuple(watcher.sound) if each.epoch_s > since_s - 1]
    beeps = figures.onsets(blocks, rate=48_000, level=BEEP_LEVEL, quiet_s=_QUIET_S)
    seen = [at for at in figures.flashes(pictures, every=FPS) if at < time.time() - _SETTLED_S]
    return [Skew(at, ms) for at in seen for ms in figures.skews_ms([at], beeps)]
