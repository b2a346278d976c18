"""The compared publishers and how they are started. All of them get the same pictures and sound."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import floor, sink
from tests.bench.material import BITRATE_BPS, FPS, HEIGHT, WIDTH
from tests.support import daemon
from tests.support.tokens import token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.material import Material
    from tests.support.livekit_server import Server


# What a publisher is asked for, so that a viewer receives BITRATE_BPS of each: encoders stay below their maximum.
_X264_BPS, _EXAMPLE_BPS, _SINK_BPS = (round(BITRATE_BPS * factor) for factor in (1.03, 1.03, 1.065))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The server, room and folder of a run."""

    server: Server
    room: str
    folder: Path
    material: Material

    @property
    def times(self) -> Path:
        """The file in which a publisher records when it captured which picture, if it has no other way."""
        return self.folder / "times"

    @property
    def pictures_pipe(self) -> Path:
        return self.folder / "pictures"

    @property
    def sound_pipe(self) -> Path:
        return self.folder / "sound"


Command = tuple[list[str | Path], dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`start` returns a command line and its environment; `missing` returns what is not installed."""

    name: str
    title: str
    start: Callable[[Stage], Command]
    missing: Callable[[], str] = str
    fed: bool = False  # through `tests.bench.feed`, because it cannot loop a file


def _daemon(stage: Stage, *, level: str, **camera: str) -> Command:
    config = stage.folder / "device.toml"
    config.touch()
    variables = daemon.environment(
        stage.server,
        stage.room,
        DEVICE_MICROPHONE__SOURCE="file",
        DEVICE_MICROPHONE__PATH=str(stage.material.wav),
        DEVICE_CAMERA__SOURCE="file",
        DEVICE_CAMERA__BITRATE_MAX_BPS=str(_X264_BPS),
        DEVICE_LOG__LEVEL=level,
        **{f"DEVICE_CAMERA__{name.upper()}": value for name, value in camera.items()},
    )
    return [sys.executable, "-m", "device", "run", "--config", config], variables


def _x264(stage: Stage, *, level: str = "info") -> Command:
    return _daemon(stage, level=level, path=str(stage.material.raw), encoder="x264")


def _copy(stage: Stage) -> Command:
    return _daemon(stage, level="info", path=str(stage.material.mp4), encoder="copy")


def _outside(stage: Stage) -> dict[str, str]:
    """Return the variables that publishers of other projects need to join."""
    minted = token(stage.server, stage.room, identity="publisher", publish=True)
    return os.environ | {"LIVEKIT_URL": stage.server.url, "LIVEKIT_TOKEN": minted}


def _example(stage: Stage) -> Command:
    script = Path(__file__).parent / "example.py"
    arguments = (stage.material.raw, stage.material.wav, stage.times, str(_EXAMPLE_BPS))
    return [sys.executable, script, *arguments], _outside(stage)


def _floor(stage: Stage) -> Command:
    return [floor.binary(), stage.material.h264, stage.material.opus, stage.times], _outside(stage)


def _sink(stage: Stage) -> Command:
    minted = token(stage.server, stage.room, identity="publisher", publish=True)
    line = (
        'livekitwebrtcsink name=sink video-caps=video/x-h264 audio-caps=audio/x-opus stun-server="" '
        "congestion-control=disabled "
        f"min-bitrate={_SINK_BPS} start-bitrate={_SINK_BPS} max-bitrate={_SINK_BPS} "
        f"signaller::ws-url={stage.server.url} signaller::auth-token={minted} "
        f"signaller::identity=publisher signaller::room-name={stage.room} "
        f"filesrc location={stage.pictures_pipe} blocksize={WIDTH * HEIGHT * 3 // 2} ! "
        f"rawvideoparse format=i420 width={WIDTH} height={HEIGHT} framerate={FPS}/1 ! clocksync ! queue ! sink. "
        f"filesrc location={stage.sound_pipe} ! "
        "rawaudioparse pcm-format=s16le sample-rate=48000 num-channels=1 ! clocksync ! audioconvert ! queue ! sink."
    )
    return [sink.binary(), *line.split()], dict(os.environ)


X264 = Row(name="x264", title="this daemon, x264", start=_x264)
# Its log shows how soon a request is answered; other rows do not have the cost of writing it.
TOLD = Row(name="told", title="this daemon, x264, at log.level debug", start=partial(_x264, level="debug"))
COPY = Row(name="copy", title="this daemon, passing through", start=_copy)
EXAMPLE = Row(name="example", title="the SDK's example pattern", start=_example)
FLOOR = Row(name="floor", title="Go SDK, pre-encoded: the floor", start=_floor, missing=floor.missing)
SINK = Row(name="sink", title="livekitwebrtcsink, x264", start=_sink, missing=sink.missing, fed=True)

ROWS = (X264, COPY, EXAMPLE, FLOOR, SINK)
