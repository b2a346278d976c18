"""The pictures and the sound of every row, made once from a film, in the user's cache.

10 s, 720p30: the film with its number drawn as a strip, a flash every second, and a beep with each flash, over a voice.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from device.sources import strip
from tests.bench.voice import voice
from tests.support.clips import clip
from tests.support.livekit_server import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import av

    from device.media.picture import AccessUnit

WIDTH, HEIGHT, FPS, FRAMES = 1280, 720, 30, 300
BITRATE_BPS = 1_500_000  # of the pictures in all rows, as a viewer receives them
KEY_FRAME_EVERY_S = 1
FLASH_FRAMES = 3
_VERSION = 3  # raise this when the material below changes
_BITRATE_WITHIN, _TRIES = 0.01, 8
_PICTURE_BYTES = WIDTH * HEIGHT * 3 // 2
_HEADER = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n".encode()
_FRAME = b"FRAME\n"
_RATE = 48_000
_OPUS_BPS = 32_000
_VOICE_LEVEL = 3000  # clearly below a beep
_NOISE_LEVEL = 1.0


@dataclass(frozen=True, slots=True)
class Material:
    """The files, all but one with the same 10 s."""

    folder: Path

    @property
    def raw(self) -> Path:
        return self.folder / "pictures.y4m"

    @property
    def h264(self) -> Path:
        """H.264 in Annex B, one slice per picture."""
        return self.folder / "pictures.h264"

    @property
    def mp4(self) -> Path:
        return self.folder / "pictures.mp4"

    @property
    def wav(self) -> Path:
        return self.folder / "sound.wav"

    @property
    def silence(self) -> Path:
        """A minute as from a microphone in a quiet room: a voice for 3 s, then noise of one or two steps.

        Opus takes noise for silence only if it has heard something louder.
        """
        return self.folder / "silence.wav"

    @property
    def opus(self) -> Path:
        return self.folder / "sound.ogg"

    def picture(self, number: int) -> bytes:
        """Return a raw picture, I420."""
        with self.raw.open("rb") as file:
            file.seek(len(_HEADER) + number * (len(_FRAME) + _PICTURE_BYTES) + len(_FRAME))
            return file.read(_PICTURE_BYTES)

    def luma(self, number: int) -> npt.NDArray[np.uint8]:
        """Return the luma plane of a raw picture."""
        return np.frombuffer(self.picture(number), np.uint8, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)


def material() -> Material:
    """Return the material, which is made if it does not exist; that takes some seconds and 420 MB."""
    kept = cache_folder() / f"bench-{_VERSION}"
    if not kept.exists():
        print(f"making pictures and sound in {kept}: some seconds, once", file=sys.stderr, flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            made = Material(Path(folder) / "made")
            made.folder.mkdir()
            _make(made)
            shutil.move(made.folder, kept)
    return Material(kept)


def _make(made: Material) -> None:
    _make_pictures(made)
    _make_mp4(made)
    _make_sound(made)


def _make_pictures(made: Material) -> None:
    with made.raw.open("wb") as raw:
        raw.write(_HEADER)
        for frame in _pictures():
            raw.write(_FRAME)
            raw.write(frame.to_ndarray().tobytes())
    wanted = BITRATE_BPS * FRAMES / FPS / 8
    asked_bps = float(BITRATE_BPS)
    for _ in range(_TRIES):
        encoded = _encoded(round(asked_bps))
        if abs(len(encoded) / wanted - 1) <= _BITRATE_WITHIN:
            made.h264.write_bytes(encoded)
            return
        asked_bps *= wanted / len(encoded)
    raise RuntimeError(f"x264 does not encode the film in {wanted:.0f} bytes; its last try has {len(encoded)}")


def _encoded(bitrate_bps: int) -> bytes:
    """Return the film in H.264. What x264 makes of a bitrate depends on the film."""
    from device.encoders.x264 import X264Encoder
    from device.media.colour import BT709
    from device.media.picture import FramePicture

    units: list[bytes] = []

    def keep(unit: AccessUnit) -> None:
        units.append(bytes(unit.payload))

    encoder = X264Encoder(
        width=WIDTH,
        height=HEIGHT,
        pixel_format="yuv420p",
        fps=FPS,
        bitrate_bps=bitrate_bps,
        bitrate_max_bps=bitrate_bps,
        keyframe_interval_s=KEY_FRAME_EVERY_S,
        colour=BT709,
        sink=keep,
    )
    for number, frame in enumerate(_pictures()):
        encoder.encode(FramePicture(frame=frame, number=number, captured_at_us=0), key=False)
    return b"".join(units)


def _pictures() -> Iterator[av.VideoFrame]:
    """Yield the film's pictures at our rate, repeating the film."""
    import av

    from device.sources.planes import writable

    with av.open(clip("bigbuckbunny.mp4")) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or FPS)
        film = [frame.reformat(width=WIDTH, height=HEIGHT, format="yuv420p") for frame in container.decode(stream)]
    for number in range(FRAMES):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        planes = writable(frame)
        for target, source in zip(planes, writable(film[int(number * rate / FPS) % len(film)]), strict=True):
            target[:] = source
        if number % FPS < FLASH_FRAMES:
            _flash(*planes)
        strip.draw(planes[0], number=number, captured_at_us=number * 1_000_000 // FPS)
        yield frame


def _flash(luma: strip.Luma, blue: strip.Luma, red: strip.Luma) -> None:
    """Draw the upper right quarter in white, like the test pattern."""
    luma[: HEIGHT // 4, WIDTH // 2 :] = strip.WHITE
    blue[: HEIGHT // 8, WIDTH // 4 :] = red[: HEIGHT // 8, WIDTH // 4 :] = 128


def _make_mp4(made: Material) -> None:
    import av

    with av.open(str(made.h264), format="h264") as source, av.open(str(made.mp4), "w") as target:
        stream = source.streams.video[0]
        out = target.add_stream_from_template(stream)
        step = round(1 / (FPS * _base(stream)))
        for number, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
            packet.stream = out
            packet.pts = packet.dts = number * step
            target.mux(packet)


def _make_sound(made: Material) -> None:
    import av
    from av.audio.frame import AudioFrame

    count = _RATE * FRAMES // FPS
    samples = np.round(_VOICE_LEVEL * voice(count, rate=_RATE)).astype(np.int16)
    for beep, second in ((_beep(), at) for at in range(0, count, _RATE)):
        samples[second : second + len(beep)] = beep
    _write_wav(made.wav, samples)
    noise = np.random.default_rng(0).normal(0, _NOISE_LEVEL, 60 * _RATE)
    quiet = np.round(noise).astype(np.int16)
    quiet[: 3 * _RATE] = samples[: 3 * _RATE]
    _write_wav(made.silence, quiet)
    # One packet per page, so that readers need not parse pages.
    with av.open(str(made.opus), "w", options={"page_duration": "20000"}) as target:
        stream = target.add_stream("libopus", rate=_RATE, layout="mono", options={"application": "audio"})
        stream.bit_rate = _OPUS_BPS
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = _RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            target.mux(packet)


def _beep() -> npt.NDArray[np.int16]:
    from device.sources.tone import ToneSource

    tone = ToneSource(channels=1)
    first = tone.samples(0)
    return np.concatenate([tone.samples(at) for at in range(0, _RATE // 10, len(first))])


def _write_wav(path: Path, samples: npt.NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(samples.tobytes())


def _base(stream: av.VideoStream) -> float:
    assert stream.time_base is not None
    return float(stream.time_base)
