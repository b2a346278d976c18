"""The synthetic camera: moving colour bars with name, time, number, a machine-readable strip, and a flash."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt

from device.clock import epoch_of_us, monotonic_us
from device.media.colour import BT709, default_colour
from device.media.picture import FramePicture
from device.sources import strip
from device.sources.lettering import Lettering, has_all
from device.sources.pacing import Pacing, sleep_until_us
from device.sources.planes import writable

if TYPE_CHECKING:
    from collections.abc import Iterator

FLASH_US = 100_000
_US = 1_000_000
_SPEED = 2  # pixels a frame; even, because the chroma planes have half the width
_BUFFERS = 3  # the encoder may still use the previous one
# White, yellow, cyan, green, magenta, red, blue, black at 75 %, as EBU bars
_RGB = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]]) * 0.75
_LINES = 3


class PatternSource:
    """Pictures paced by the monotonic clock. A slow consumer loses frames; the picture's time stays correct."""

    name = "pattern"
    pixel_format = "yuv420p"

    def __init__(self, *, width: int, height: int, fps: int, identity: str) -> None:
        self.width, self.height, self.fps = width, height, fps
        self.missed = 0
        self.colour = default_colour(height)
        self._identity = identity
        self._lettering = Lettering(max(1, min(width // 320, height // 180)))
        self._strip_top = strip.top(width, height)
        line = self._lettering.height * 3 // 2
        self._text_top = max(0, self._strip_top - _LINES * line) & ~1
        self._line = line
        self._bars = _bars(width, bt709=self.colour is BT709)
        self._chroma = np.ascontiguousarray(self._bars[1:, ::2])  # a strided row costs twice as much to copy
        self._frames = [self._blank() for _ in range(_BUFFERS)]

    def pictures(self) -> Iterator[FramePicture]:
        """Yield pictures without end, each when it is due."""
        pacing = Pacing(rate=self.fps, started_at_us=monotonic_us())
        while True:
            number, due_at_us = pacing.take(monotonic_us())
            self.missed = pacing.missed
            sleep_until_us(due_at_us)
            yield FramePicture(frame=self.draw(number, due_at_us), number=number, captured_at_us=due_at_us)

    def draw(self, number: int, captured_at_us: int) -> av.VideoFrame:
        """Return the picture for one capture time, in a frame that is reused three pictures later."""
        frame = self._frames[number % _BUFFERS]
        luma, blue, red = writable(frame)
        epoch_us = epoch_of_us(captured_at_us)
        self._draw_bars(number, luma, blue, red)
        if epoch_us % _US < FLASH_US:
            self._draw_flash(luma, blue, red)
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(epoch_us // _US))
        self._write(luma, f"{clock}.{epoch_us % _US // 1000:03} UTC", line=1)
        self._write(luma, f"FRAME {number:08}", line=2)
        strip.draw(luma, number=number, captured_at_us=epoch_us)
        return frame

    def _draw_bars(self, number: int, luma: strip.Luma, blue: strip.Luma, red: strip.Luma) -> None:
        shift = number * _SPEED % self.width
        luma[: self._text_top] = self._bars[0, shift : shift + self.width]
        half = slice(shift // 2, (shift + self.width) // 2)
        blue[: self._text_top // 2] = self._chroma[0, half]
        red[: self._text_top // 2] = self._chroma[1, half]

    def _draw_flash(self, luma: strip.Luma, blue: strip.Luma, red: strip.Luma) -> None:
        """Draw the upper right quarter in white, where `flash_brightness` measures."""
        bottom, left = self._text_top // 2 & ~1, self.width // 2 & ~1
        luma[:bottom, left:] = strip.WHITE
        blue[: bottom // 2, left // 2 :] = red[: bottom // 2, left // 2 :] = 128

    def _blank(self) -> av.VideoFrame:
        frame = av.VideoFrame(self.width, self.height, self.pixel_format)
        luma, blue, red = writable(frame)
        luma[:] = strip.BLACK
        blue[:] = red[:] = 128
        if has_all(self._identity):
            self._write(luma, self._identity, line=0)
        else:
            self._write_name(luma)
        return frame

    def _write_name(self, luma: strip.Luma) -> None:
        """Draw a name that has characters which the dot font lacks; it never changes, so each buffer gets it once."""
        from device.sources.fonts import rasterised

        x, y = self._lettering.advance, self._text_top
        name = np.asarray(rasterised(self._identity, height=self._line))[:, : self.width - x]
        dots = strip.BLACK + name.astype(np.uint16) * (strip.WHITE - strip.BLACK) // 255
        luma[y : y + self._line, x : x + name.shape[1]] = dots.astype(np.uint8)

    def _write(self, luma: strip.Luma, text: str, *, line: int) -> None:
        self._lettering.draw(
            luma,
            text,
            x=self._lettering.advance,
            y=self._text_top + line * self._line + self._line // 6,
            ink=strip.WHITE,
            paper=strip.BLACK,
        )


def flash_brightness(luma: strip.Luma) -> float:
    """Return the mean luma of the flash area in a decoded picture of any size; it is over 220 during a flash."""
    height, width = luma.shape
    return float(luma[height // 32 : height // 4, width * 9 // 16 : width * 15 // 16].mean())


def _bars(width: int, *, bt709: bool) -> npt.NDArray[np.uint8]:
    """Return one line of Y, Cb and Cr, shape (3, 2 * width): twice the picture's width, so that the bars can move."""
    red_weight, blue_weight = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    red, green, blue = _RGB.T
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    colours = np.stack(
        (
            16 + 219 * luma,
            128 + 112 * (blue - luma) / (1 - blue_weight),
            128 + 112 * (red - luma) / (1 - red_weight),
        )
    )
    columns = np.arange(2 * width) % width * len(_RGB) // width
    return np.round(colours).astype(np.uint8)[:, columns]
