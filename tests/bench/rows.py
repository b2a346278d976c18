"""The compared publishers and how they are started. All of them get the same pictures and sound."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device.ipc import hotplug
from tests.bench import floor, processes, sink
from tests.bench.material import BITRATE_BPS, FPS, HEIGHT, WIDTH
from tests.support import daemon
from tests.support.tokens import token

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

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
    def log(self) -> Path:
        """What the publisher prints."""
        return self.folder / "log"

    @property
    def pictures_pipe(self) -> Path:
        return self.folder / "pictures"

    @property
    def sound_pipe(self) -> Path:
        return self.folder / "sound"


Command = tuple[list[str | Path], dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`running` runs the publisher and yields its process id and start; `missing` returns what is not installed."""

    name: str
    title: str
    running: Callable[[Stage], AbstractContextManager[tuple[int, float]]]
    missing: Callable[[], str] = str
    fed: bool = False  # through `tests.bench.feed`, because it cannot loop a file
    publishes: str = "pictures"  # "camera": of a camera, without the film's numbers; or "nothing"
    busy: bool = False  # while all processors but one have something else to do


def _started(
    command: Callable[[Stage], Command],
) -> Callable[[Stage], AbstractContextManager[tuple[int, float]]]:
    return lambda stage: processes.publisher(*command(stage), stage.log)


def _daemon(stage: Stage, **keys: str) -> Command:
    """Return the daemon's command; `keys` are those of the configuration, such as camera__source."""
    config = stage.folder / "device.toml"
    config.write_text("")
    variables = daemon.environment(
        stage.server, stage.room, **{f"DEVICE_{key.upper()}": value for key, value in keys.items()}
    )
    return [sys.executable, "-m", "device", "run", "--config", config], variables


def _files(stage: Stage, film: Path, sound: Path, encoder: str) -> Command:
    return _daemon(
        stage,
        camera__source="file",
        camera__path=str(film),
        camera__encoder=encoder,
        camera__bitrate_max_bps=str(_X264_BPS),
        microphone__source="file",
        microphone__path=str(sound),
    )


def _x264(stage: Stage) -> Command:
    return _files(stage, stage.material.raw, stage.material.wav, "x264")


def _copy(stage: Stage) -> Command:
    return _files(stage, stage.material.mp4, stage.material.wav, "copy")


def _silence(stage: Stage) -> Command:
    return _files(stage, stage.material.mp4, stage.material.silence, "copy")


def _idle(stage: Stage) -> Command:
    return _daemon(stage, camera__source="auto", microphone__source="auto")


def _connected() -> str:
    return "this machine has a camera or a sound card" if hotplug.present() else ""


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


X264 = Row(name="x264", title="this daemon, x264", running=_started(_x264))
COPY = Row(name="copy", title="this daemon, passing through", running=_started(_copy))
SILENCE = Row(name="silence", title="this daemon, passing through, a silent room", running=_started(_silence))
IDLE = Row(
    name="idle",
    title="this daemon, no camera, no microphone",
    running=_started(_idle),
    missing=_connected,
    publishes="nothing",
)
X264_BUSY = Row(name="x264-busy", title="this daemon, x264, one core left", running=_started(_x264), busy=True)
COPY_BUSY = Row(
    name="copy-busy", title="this daemon, passing through, one core left", running=_started(_copy), busy=True
)
EXAMPLE = Row(name="example", title="the SDK's example pattern", running=_started(_example))
FLOOR = Row(name="floor", title="Go SDK, pre-encoded: the floor", running=_started(_floor), missing=floor.missing)
SINK = Row(name="sink", title="livekitwebrtcsink, x264", running=_started(_sink), missing=sink.missing, fed=True)

COMPARED = (X264, COPY, EXAMPLE, FLOOR, SINK)  # the same pictures and sound at the same bitrate
ROWS = (*COMPARED, SILENCE, IDLE, X264_BUSY, COPY_BUSY)
