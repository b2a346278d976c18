"""Films made for a test: grey pictures with their numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av

from device.sources import strip
from device.sources.planes import writable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FPS = 30


def film(
    path: Path,
    *,
    size: tuple[int, int] = (192, 108),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    bframes: int = 0,
    gop: int = 10,
    times: Iterable[int] = range(FPS),
) -> str:
    """Make a file with a picture at each of these times, in frames; return its path, whose suffix is the container."""
    options = {"libx264": {"preset": "ultrafast", "x264-params": f"bframes={bframes}:scenecut=0:b-adapt=0"}}
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=options.get(codec, {}))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.gop_size = gop
        for number, time in enumerate(times):
            frame = av.VideoFrame(width, height, "yuv420p")
            luma, blue, red = writable(frame)
            luma[:], blue[:], red[:] = 128, 128, 128
            strip.draw(luma, number=number, captured_at_us=0)
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = time, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)
