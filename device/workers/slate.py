"""Draws the slate: the still picture that viewers see while there is no camera picture. Runs as a process of its own.

Reads a JSON object (title, lines, width, height) from standard input, writes one access unit, an IDR with its
parameter sets, to standard output, and exits. The daemon loads neither Pillow nor PyAV.
"""

from __future__ import annotations

import json
import sys
import textwrap

from PIL import Image, ImageDraw

from device.sources.fonts import Lettering

_INK, _PALE, _PAPER = (235, 235, 235), (160, 160, 160), (24, 26, 30)
_MARGIN = 16  # the margin is the width divided by this
_MAX_LINES, _MAX_TITLE = 6, 256
_BITRATE_BPS = 150_000


def main() -> int:
    wanted = json.load(sys.stdin)
    sys.stdout.buffer.write(encoded(drawn(**wanted)))
    return 0


def drawn(*, title: str, lines: list[str], width: int, height: int) -> Image.Image:
    """Return the picture, RGB."""
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    margin = width // _MARGIN
    size = min(width, height)
    large, small = (Lettering(max(10, size // part)) for part in (9, 18))
    y = height // 4
    large.draw(draw, (margin, y), _shortened(title[:_MAX_TITLE], large, width - 2 * margin), _INK)
    y += size // 5
    columns = max(10, int((width - 2 * margin) / small.length("n")))
    wrapped = [piece for line in lines for piece in textwrap.wrap(line, columns)]
    for line in wrapped[:_MAX_LINES]:
        small.draw(draw, (margin, y), _shortened(line, small, width - 2 * margin), _PALE)
        y += size // 13
    return picture


def encoded(picture: Image.Image) -> bytes:
    """Return one access unit, Annex B."""
    import av
    import numpy as np

    from device.encoders.x264 import X264Encoder
    from device.media.colour import BT601, BT709, default_colour
    from device.media.picture import AccessUnit, FramePicture

    units: list[AccessUnit] = []
    colour = default_colour(picture.height)
    encoder = X264Encoder(
        width=picture.width,
        height=picture.height,
        pixel_format="yuv420p",
        fps=1,
        # Enough for sharp letters in one unit, and still little when it is repeated every second.
        bitrate_bps=_BITRATE_BPS,
        bitrate_max_bps=_BITRATE_BPS,
        keyframe_interval_s=1,
        colour=colour,
        sink=units.append,
    )
    matrix = {BT709: "ITU709", BT601: "ITU601"}[colour]
    frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=matrix
    )
    encoder.encode(FramePicture(frame=frame, number=0, captured_at_us=0), key=True)
    return units[0].payload


def _shortened(text: str, lettering: Lettering, width: float) -> str:
    while text and lettering.length(text) > width:
        text = text[:-1]
    return text


if __name__ == "__main__":
    sys.exit(main())
