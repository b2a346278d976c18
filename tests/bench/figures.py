"""The figures of a run. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, 2004; for 8 bits
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW = 8
_MAX_SKEW_S = 0.5


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the percentile by the nearest rank; NaN without values."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the runs, ignoring runs without it."""
    found: dict[str, float] = {}
    for name in dict.fromkeys(name for run in runs for name in run):
        values = [run[name] for run in runs if not math.isnan(run.get(name, math.nan))]
        found[name] = median(values) if values else math.nan
    return found


def ssim(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Return the mean structural similarity of two planes of equal shape, over all windows of 8 x 8 pixels."""
    x, y = one.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _means(x), _means(y)
    variance_x = _means(x * x) - mean_x**2
    variance_y = _means(y * y) - mean_y**2
    covariance = _means(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float(np.mean(similar / ((mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2))))


def _means(plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean of each window, by cumulative sums."""
    sums = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1))
    np.cumsum(np.cumsum(plane, axis=0), axis=1, out=sums[1:, 1:])
    size = _WINDOW
    windows: npt.NDArray[np.float64] = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size]
    return (windows + sums[:-size, :-size]) / size**2


def latencies_ms(sent: Iterable[tuple[int, int]], received: Iterable[tuple[int, int]]) -> list[float]:
    """Return the time from capture to reception of each received (number, epoch in us).

    Numbers repeat with each loop of the film: the latest capture of a number before its reception counts.
    """
    captures: defaultdict[int, list[int]] = defaultdict(list)
    for number, at_us in sent:
        captures[number].append(at_us)
    found = []
    for number, at_us in received:
        before = bisect_left(captures[number], at_us)
        if before:
            found.append((at_us - captures[number][before - 1]) / 1000)
    return found


def longest_gap_ms(times_us: Sequence[int]) -> float:
    """Return the longest time between two neighbours; NaN if there are none."""
    return max(((later - earlier) / 1000 for earlier, later in pairwise(times_us)), default=math.nan)


def flashes(pictures: Iterable[tuple[int, int]], *, every: int) -> list[float]:
    """Return the times of flashes, in seconds: each picture whose number is a multiple of `every` begins one."""
    return [at_us / 1e6 for number, at_us in pictures if number % every == 0]


def skews_ms(flashes_at: Iterable[float], beeps_at: Sequence[float]) -> list[float]:
    """Return how long after each flash its beep follows; flashes without a beep within half a second are ignored."""
    nearest = [min((beep - flash for beep in beeps_at), key=abs, default=math.inf) for flash in flashes_at]
    return [1000 * each for each in nearest if abs(each) <= _MAX_SKEW_S]


def onsets(
    blocks: Iterable[tuple[float, npt.NDArray[np.int16]]], *, rate: int, level: int, quiet_s: float
) -> list[float]:
    """Return when sound rises above a level after a quiet time.

    `blocks` are times and mono samples; a block's first sample counts as heard at its time.
    """
    loud = [
        at + index / rate
        for at, samples in blocks
        for index in np.flatnonzero(np.abs(samples.astype(np.int32)) > level).tolist()
    ]
    return [later for earlier, later in pairwise([-math.inf, *loud]) if later - earlier > quiet_s]
