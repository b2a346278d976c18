"""Formats, sizes and frame rates of a V4L2 camera, and which of them a configuration uses."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from device.errors import SourceError
from device.sources.v4l2 import ioctls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from device.sources.v4l2.structures import FrameInterval, FrameSize

H264 = "H264"
# By FourCC: FFmpeg's name for the option `input_format`, in the order of what a picture costs until it is encoded.
FORMATS = {
    "YU12": "yuv420p",
    "NV12": "nv12",
    "YUYV": "yuyv422",
    "UYVY": "uyvy422",
    "GREY": "gray",
    "MJPG": "mjpeg",
    "JPEG": "mjpeg",
    "RGB3": "rgb24",
    "BGR3": "bgr24",
}
_MAX_SIDE = 4096  # of a picture on the way to the daemon


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """One size of a format, or, with steps, all sizes from the least up; rates at the largest one, fastest first."""

    fourcc: str
    width: int
    height: int
    least: tuple[int, int] = (0, 0)
    step: tuple[int, int] = (0, 0)
    rates: tuple[Fraction, ...] = ()
    any_rate: bool = False  # each rate between the first and the last

    def __str__(self) -> str:
        least = f"{self.least[0]}x{self.least[1]} to " if self.step != (0, 0) else ""
        rates = (" to " if self.any_rate else ", ").join(f"{float(each):g}" for each in self.rates)
        return f"{self.fourcc} {least}{self.width}x{self.height}{f' at {rates} fps' if rates else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What a camera is set to. A rate of 0 is unknown: the driver lists none."""

    fourcc: str
    width: int
    height: int
    rate: Fraction


def listed(descriptor: int) -> list[Sizes]:
    """Return what a camera lists, in its order. Raises OSError."""
    found = []
    for code in ioctls.formats(descriptor):
        fourcc = code.to_bytes(4, "little").decode(errors="replace").strip("\0 ")
        for size in ioctls.sizes(descriptor, code):
            width, height, least, step = _bounds(size)
            rates, any_rate = _rates(ioctls.intervals(descriptor, code, width, height))
            found.append(
                Sizes(fourcc=fourcc, width=width, height=height, least=least, step=step, rates=rates, any_rate=any_rate)
            )
    return found


def choose(found: Sequence[Sizes], *, width: int, height: int, fps: int, formats: Iterable[str] = FORMATS) -> Mode:
    """Return the mode for a wanted size and frame rate: the nearest size, then the rate, then the cheapest format.

    A rate that is faster than the wanted one is used rather than a slower one: pictures are left out. Pure. Raises
    SourceError if the camera has no format that is supported.
    """
    order = tuple(formats)
    candidates = [
        Mode(fourcc=each.fourcc, width=size[0], height=size[1], rate=rate)
        for each in found
        if each.fourcc in order
        and (size := _nearest(each, width, height))
        and max(size) <= _MAX_SIDE
        and not (size[0] % 2 or size[1] % 2)
        for rate in _offered(each, fps)
    ]
    if not candidates:
        known = sorted({each.fourcc for each in found})
        raise SourceError(
            f"the camera offers {', '.join(known) or 'no format'}; supported: {', '.join(order)}",
            for_viewers="the camera's pixel format is not supported",
        )

    def cost(mode: Mode) -> tuple[float, float, float, int]:
        rate = float(mode.rate or fps)
        too_slow = max(0.0, fps - rate) if rate < fps - 0.5 else 0.0
        distance = abs(mode.width - width) + abs(mode.height - height)
        return distance, too_slow, max(0.0, rate - fps), order.index(mode.fourcc)

    return min(candidates, key=cost)


def difference(mode: Mode, *, width: int, height: int, fps: int) -> str:
    """Return in which respect a mode is not what is configured; empty if it is. Pure."""
    parts = []
    if (mode.width, mode.height) != (width, height):
        parts.append(f"it does not offer {width}x{height}; the nearest is {mode.width}x{mode.height}")
    if mode.rate and float(mode.rate) < fps - 0.5:
        parts.append(f"at {mode.width}x{mode.height} it offers {float(mode.rate):g} fps at most, not {fps}")
    return "; ".join(parts)


def _nearest(sizes: Sizes, width: int, height: int) -> tuple[int, int]:
    if sizes.step == (0, 0):
        return sizes.width, sizes.height
    clamped = []
    for wanted, least, most, step in zip(
        (width, height), sizes.least, (sizes.width, sizes.height), sizes.step, strict=True
    ):
        at_most = max(least, min(wanted, most))
        value = least + (at_most - least) // max(1, step) * max(1, step)
        clamped.append(value - value % 2 if value - value % 2 >= least else value)
    return clamped[0], clamped[1]


def _bounds(size: FrameSize) -> tuple[int, int, tuple[int, int], tuple[int, int]]:
    numbers = [int(each) for each in size.numbers]
    if size.type == ioctls.DISCRETE:
        return numbers[0], numbers[1], (0, 0), (0, 0)
    least_w, most_w, step_w, least_h, most_h, step_h = numbers
    return most_w, most_h, (least_w, least_h), (max(1, step_w), max(1, step_h))


def _offered(sizes: Sizes, fps: int) -> tuple[Fraction, ...]:
    if sizes.any_rate and sizes.rates[-1] <= fps <= sizes.rates[0]:
        return (Fraction(fps),)
    return sizes.rates or (Fraction(0),)


def _rates(intervals: Iterable[FrameInterval]) -> tuple[tuple[Fraction, ...], bool]:
    found: set[Fraction] = set()
    between = False
    for each in intervals:
        numbers = [int(number) for number in each.numbers]
        found.add(ioctls.rate_of(numbers[0], numbers[1]))
        if each.type != ioctls.DISCRETE:
            found.add(ioctls.rate_of(numbers[2], numbers[3]))
            between = True
    rates = tuple(sorted(found - {Fraction(0)}, reverse=True))
    return rates, between and len(rates) > 1
