"""Films made for a test: grey pictures with their numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from device.sources import strip
from device.sources.planes import writable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from av.container import OutputContainer

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
    live: bool = False,
    rotation: int = 0,
    sample_aspect: Fraction = Fraction(1),
    interlaced: bool = False,
    tone: bool = False,
) -> str:
    """Make a file with a picture at each of these times, in frames; return its path, whose suffix is the container.

    `live` Matroska has no duration and no index, `rotation` is in degrees counterclockwise. `tone` adds sound: 1 kHz
    for the first 0.2 s, then silence.
    """
    times = list(times)
    options = {"libx264": {"preset": "ultrafast", "x264-params": f"bframes={bframes}:scenecut=0:b-adapt=0"}}
    if interlaced:
        options["libx264"]["x264-params"] += ":tff=1"
    width, height = size
    with av.open(str(path), "w", options={"live": "1"} if live else {}) as container:
        stream = container.add_stream(codec, rate=FPS, options=options.get(codec, {}))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.gop_size = gop
        stream.codec_context.sample_aspect_ratio = sample_aspect
        if rotation:
            stream.set_display_rotation(rotation)
        sound = (
            container.add_stream("libopus" if path.suffix == ".webm" else "pcm_s16le", rate=48_000) if tone else None
        )
        if sound is not None:
            assert isinstance(sound, av.AudioStream)
            sound.layout = "mono"
            _add_tone(container, sound, max(times) / FPS)
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


def _add_tone(container: OutputContainer, sound: av.AudioStream, length_s: float) -> None:
    time_s = np.arange(int(length_s * 48_000)) / 48_000
    samples = np.where(time_s < 0.2, 20_000 * np.sign(np.sin(2 * np.pi * 1000 * time_s)), 0).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = 48_000
    container.mux(sound.encode(frame))
    container.mux(sound.encode(None))
