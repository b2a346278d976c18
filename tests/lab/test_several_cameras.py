"""Three cameras of one device at the same time, with the real picamera2; the worker of one dies or hangs."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from livekit import rtc

from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.service import IDENTITY, Journal, Service
from tests.support.processors import IdleMeter
from tests.support.received import Received, receiving

NAMES = ("camera", "garden", "yard")
SIZE = (640, 480)
LIMIT_S = 90.0
GAP_S, BACK_S = 0.5, 30.0
BUSY_PERCENT = 15
PACE = 35
# On a busy machine a healthy worker may be late; here only the one that dies is to change its state.
PATIENT = {"camera_stall_s": 6.0, "microphone_stall_s": 6.0}
CAMERA = """
"Virtual{number}":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [30, 60]
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "Virtual Video Device"
"""


def table(number: int) -> dict[str, object]:
    return {
        "source": "picamera2",
        "device": f"Virtual{number}",
        "width": SIZE[0],
        "height": SIZE[1],
        "fps": 15,
        "bitrate_max_bps": 500_000,
    }


@pytest.fixture
def three_cameras(service: Service) -> Iterator[Service]:
    """Give the machine three cameras; one of them has the name of the only one in other tests."""
    path = f"/{stand_ins.VIRTUAL_CAMERAS}"
    service.machine.install({path: "".join(CAMERA.format(number=number) for number in range(len(NAMES)))})
    # Virtual cameras draw as fast as they can: three of them would use both cores.
    service.machine.run(("sh", "-c", f"echo {PACE} >/run/lab-pace"))
    yield service
    service.machine.run(("rm", "/run/lab-pace"))
    service.machine.install({path: (stand_ins.SOURCES / "virtual.yaml").read_bytes()})


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # what another machine does  # noqa: ASYNC110
        await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    subscriber: rtc.Room
    received: Received

    def state(self, name: str) -> str:
        device = self.subscriber.remote_participants.get(IDENTITY)
        label = name if name == "camera" else f"camera.{name}"
        return device.attributes.get(f"device.{label}", "").partition(":")[0] if device else ""

    def live(self, name: str) -> bool:
        return self.received.sizes.get(name, Counter())[SIZE] > 30 and self.state(name) == "live"


@pytest.mark.parametrize("signal", ("KILL", "STOP"))
def test_one_of_three_cameras_dies(three_cameras: Service, record: Record, signal: str) -> None:
    service = three_cameras
    more = {name: table(number) for number, name in enumerate(NAMES) if number}

    async def watch() -> None:
        async with receiving(service.server, service.room) as (subscriber, received):
            scene = Scene(subscriber=subscriber, received=received)
            with service.running(camera=table(0), cameras=more, watch=PATIENT) as journal:
                async with asyncio.timeout(LIMIT_S):
                    await until(lambda: all(scene.live(name) for name in NAMES))
                    await _strike(service, journal, scene, record, signal)

    asyncio.run(watch())


async def _strike(service: Service, journal: Journal, scene: Scene, record: Record, signal: str) -> None:
    received = scene.received
    pids = {line["worker"]: line["pid"] for line in journal.of("worker.spawned")}
    meter, mark, struck_at = IdleMeter(), journal.mark(), time.monotonic()
    await asyncio.to_thread(service.kill, pids["garden"], signal)
    line = await journal.soon("worker.restarting", worker="garden")
    seen = received.sizes["garden"][SIZE]
    await until(lambda: received.sizes["garden"][SIZE] > seen + 30 and scene.state("garden") == "live")
    took_s = time.monotonic() - struck_at
    gaps = {name: received.longest_gap_s(name, since=struck_at) for name in ("camera", "yard", "microphone")}
    others = [each for each in journal.of("worker.state", since=mark) if each["worker"] != "garden"]
    idle = meter.percent()
    unharmed = not others and not journal.of("room.left", since=mark)
    # A new interpreter takes its time from the others.
    busy = idle < BUSY_PERCENT and unharmed and took_s < BACK_S
    record(
        f"three cameras, the worker of one gets SIG{signal}: the words; it is back after; longest gaps of the others",
        f"{line['why']}; {took_s:.1f} s; "
        + ", ".join(f"{name} {gap:.2f} s" for name, gap in gaps.items())
        + f" ({idle:.0f}% of 2 cores idle)",
        must=f"…; <= {BACK_S:.0f} s, in the same room; <= {GAP_S} s, and no other worker changes its state",
        ok=unharmed and took_s < BACK_S and max(gaps.values()) <= GAP_S,
        excuse="the machine was busy" if busy and max(gaps.values()) > GAP_S else "",
    )
