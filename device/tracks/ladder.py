"""How large and how often pictures are sent at a given bitrate. Pure: the caller brings the time, in seconds.

The bitrate follows the room's target. If it is too low for the pictures, their rate is halved first, then their size is
reduced in steps. tests/unit/test_ladder_recorded.py replays decisions from recorded targets.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median_low
from typing import TYPE_CHECKING

from device.tracks.bitrate_demand import needs_bps

if TYPE_CHECKING:
    from collections.abc import Iterator

# At 10 to 15 fps motion still looks like motion; below that a smaller picture is better.
SLOWEST_FPS = 10
_SIZES = ((3, 4), (1, 2), (1, 4), (1, 8))
_SMALLEST = (160, 90)
# The target falls for up to a second when packets are late. So it has to be too low for most of 2.5 s before a step
# down, and high enough, with a margin, for all of 5 s before a step up.
DOWN_S, UP_S = 2.5, 5.0
_MARGIN = 1.35
_SAMPLE_S = 0.25
# A ceiling below what the pictures need is the operator's choice of this size.
_OF_CEILING_DOWN, _OF_CEILING_UP = 0.6, 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Bounds of the pictures: size in pixels, pictures a second.

    The ladder leaves it below `down_bps`, and reaches it from `up_bps` on.
    """

    width: int
    height: int
    fps: int
    down_bps: int
    up_bps: int


def rungs(*, width: int, height: int, fps: int, floor_bps: int, ceiling_bps: int) -> tuple[Rung, ...]:
    """Return the rungs from the top, the configured size and rate, down to the last one that the floor needs."""
    found: list[Rung] = []
    for each_width, each_height, each_fps in _bounds(width, height, fps):
        if found and found[-1].down_bps <= floor_bps:
            break
        needs = needs_bps(each_width, each_height, each_fps)
        found.append(
            Rung(
                width=each_width,
                height=each_height,
                fps=each_fps,
                down_bps=min(needs, int(ceiling_bps * _OF_CEILING_DOWN)),
                up_bps=min(int(needs * _MARGIN), int(ceiling_bps * _OF_CEILING_UP)),
            )
        )
    return tuple(found)


def _bounds(width: int, height: int, fps: int) -> Iterator[tuple[int, int, int]]:
    yield width, height, fps
    while fps >= 2 * SLOWEST_FPS:
        fps = (fps + 1) // 2
        yield width, height, fps
    for part, whole in _SIZES:
        size = (width * part // whole & ~1, height * part // whole & ~1)
        if max(size) >= _SMALLEST[0] and min(size) >= _SMALLEST[1]:
            yield *size, fps


def _bounds_of(rung: Rung) -> tuple[int, int, int]:
    return rung.width, rung.height, rung.fps


@dataclass(slots=True, kw_only=True)
class Ladder:
    """Chooses one of the rungs by the room's targets."""

    rungs: tuple[Rung, ...]
    rung: Rung = field(init=False)
    _targets: deque[tuple[float, int]] = field(default_factory=deque, init=False)  # time, target; of UP_S at most
    _since: float = field(default=0.0, init=False)
    _updated: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.rung = self.rungs[0]

    def replace(self, steps: tuple[Rung, ...]) -> Rung | None:
        """Use other rungs; return the one to change to, if the present one is none of them.

        The top stays the top: if that is another size or rate, the encoder is a new one, which begins there.
        """
        at_top = self.rung is self.rungs[0]
        same = [each for each in steps if _bounds_of(each) == _bounds_of(self.rung)]
        self.rungs, self.rung = steps, same[0] if same and not at_top else steps[0]
        self.reset()
        return None if same or at_top else self.rung

    def reset(self) -> None:
        """Forget all targets, as after a change of the rung, or in a new connection."""
        self._targets.clear()
        self._updated = False

    def update(self, target_bps: int, now: float) -> None:
        """Note the room's present target."""
        passed_s = now - self._targets[-1][0] if self._targets else 0.0
        if self._targets and passed_s < _SAMPLE_S:
            return
        if passed_s > DOWN_S:
            self.reset()  # nothing was sent in between: older targets do not count
        if not self._targets:
            self._since = now
        self._targets.append((now, target_bps))
        self._updated = True
        while now - self._targets[0][0] > UP_S:
            self._targets.popleft()

    def step(self, now: float) -> Rung | None:
        """Return the rung to change to, if any."""
        if not self._updated:
            return None
        self._updated = False
        rung = self._down(now) or self._up(now)
        if rung is not None:
            self.rung = rung
            self.reset()
        return rung

    def _down(self, now: float) -> Rung | None:
        if now - self._since < DOWN_S:
            return None
        usual = median_low([target for at, target in self._targets if now - at <= DOWN_S])
        if usual >= self.rung.down_bps:
            return None
        lower = self.rungs[self.rungs.index(self.rung) + 1 :]
        return next((each for each in lower if usual >= each.down_bps), lower[-1] if lower else None)

    def _up(self, now: float) -> Rung | None:
        if now - self._since < UP_S:
            return None
        least = min(target for _, target in self._targets)
        higher = self.rungs[: self.rungs.index(self.rung)]
        return next((each for each in higher if least >= each.up_bps), None)
