"""A row of `make bench` that needs the lab: the daemon on the path of the Pi's camera, with picamera2 and PyAudio.

By hand, as root, after `make lab` has built its root: `.venv/bin/python -m tests.lab.bench`. BENCH_RUNS (1) as there.
The camera worker's costs include x264, which stands in for the board's encoder; those of the daemon's own process are
what a board has.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import report
from tests.bench.figures import medians
from tests.bench.material import BITRATE_BPS, FPS, HEIGHT, WIDTH, material
from tests.bench.rows import Row, Stage
from tests.bench.run import one_run
from tests.lab import equipment
from tests.lab.microphone import Microphones
from tests.lab.service import MICROPHONE, Service
from tests.support.livekit_server import livekit_server

CAMERA = {
    "source": "picamera2",
    "width": WIDTH,
    "height": HEIGHT,
    "fps": FPS,
    "encoder": "v4l2",
    "bitrate_max_bps": BITRATE_BPS,
}


def row_of(service: Service) -> Row:
    @contextmanager
    def running(stage: Stage) -> Iterator[tuple[int, float]]:
        service.room = stage.room
        started_at = time.monotonic()
        with service.running(camera=CAMERA, microphone=MICROPHONE, log={"level": "info"}):
            yield service.machine.pid_on_host(service.main_pid()), started_at

    return Row(name="lab", title="this daemon, picamera2 and PyAudio (lab)", running=running, publishes="camera")


def main() -> None:
    files = material()
    with equipment.bare_machine() as machine, livekit_server(prefer=(0, 0)) as server:
        Microphones(machine).start()
        equipment.install_daemon(machine)
        service = Service(machine, server)
        service.tidy()
        row = row_of(service)
        found = []
        for _ in range(int(os.environ.get("BENCH_RUNS", "1"))):
            found.append(one_run(row, server, files))
            print(f"{found[-1]['cpu_s_per_1000']:.2f} s/1000", file=sys.stderr, flush=True)
    print(report.machine(), report.tables({row.name: medians(found)}, {}, of=(row,)), sep="\n\n")


if __name__ == "__main__":
    main()
