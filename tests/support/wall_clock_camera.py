"""An IP camera that flashes and beeps at each whole second of the wall clock, for measuring how far both are apart.

A flash is the picture whose number is a multiple of `FPS`, as in `tests.bench.material`.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av

from tests.support.films import FPS, film
from tests.support.ports import free_port
from tests.support.rtsp import DEBIAN_PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator

_SITE = Path(__file__).parent / "wall_clock_site.py"
_SIZE = (320, 180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """How late picture and sound are sent after their capture, and by how much the sound's clock is too fast."""

    picture_late_ms: int = 0
    sound_late_ms: int = 0
    sound_ppm: int = 0


class WallClockCamera:
    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process, self.url = process, url

    def pause(self, medium: str, for_s: float) -> None:
        """Send no `picture` or no `sound` for some time, and then what is captured at that time."""
        assert self._process.stdin
        self._process.stdin.write(f"{medium} {for_s}\n")
        self._process.stdin.flush()


@contextmanager
def wall_clock_camera(folder: Path, camera: Camera) -> Iterator[WallClockCamera]:
    """Run one; its files are in `folder`."""
    port, units = free_port(0), folder / "units"
    units.write_bytes(b"".join(len(each).to_bytes(4, "big") + each for each in _units(folder)))
    options = asdict(camera) | {"port": port, "units": str(units), "fps": FPS}
    command: list[str | Path] = ["setpriv", "--pdeathsig", "KILL", DEBIAN_PYTHON, _SITE, json.dumps(options)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the camera did not start; run tests/prepare.sh")
            yield WallClockCamera(process, f"rtsp://127.0.0.1:{port}/camera")
        finally:
            process.kill()


def _units(folder: Path) -> Iterator[bytes]:
    """Yield the access units of one second, which begins with a key frame."""
    path = film(folder / "second.h264", size=_SIZE, gop=FPS, times=range(FPS))
    with av.open(path, format="h264") as container:
        yield from (bytes(packet) for packet in container.demux(video=0) if packet.size)
