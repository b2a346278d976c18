"""A camera that nobody watches is closed after a while, and soon open again for a viewer, with picamera2."""

import asyncio

from tests.lab.conftest import Record
from tests.lab.load import measuring_load
from tests.lab.service import UNIT, Service
from tests.lab.test_camera import HOLD, SMALL
from tests.lab.test_privacy import BUSY, capturing, open_devices
from tests.support.watcher import Watcher, watching

SLEEP_AFTER_S, ASLEEP_S = 5.0, 40.0
FIRST_S, SLATE_S, TIMES = 2.0, 1.0, 5
LINES = 480  # the slate has fewer


async def first_pictures(service: Service, number: int) -> tuple[float, float]:
    """Watch; return the seconds from the subscription to a picture of any kind, and to the camera's."""
    async with watching(service.server, service.room, identity=f"visitor-{number}") as watcher:

        def of_camera(watcher: Watcher) -> list[float]:
            return [each.at for each in watcher.pictures if each.height == LINES]

        await watcher.until(lambda: len(of_camera(watcher)) > 10, within_s=30, what="pictures")
        subscribed_at = next(at for event, at in watcher.events if event.startswith("track:device:camera"))
        return watcher.pictures[0].at - subscribed_at, of_camera(watcher)[0] - subscribed_at


def test_a_camera_that_nobody_watches_is_closed_and_opened_for_a_viewer(service: Service, record: Record) -> None:
    camera = SMALL | {"when_unwatched": "sleep", "sleep_after_s": SLEEP_AFTER_S}

    async def watch() -> None:
        with service.running(camera=camera, microphone=None) as journal:
            await journal.soon("worker.state", worker="camera", new="live")
            before = capturing(service)
            first, live = [], []
            with measuring_load() as load:
                for number in range(TIMES):
                    mark = journal.mark() if number else 0
                    await journal.soon("camera.sending", new="asleep", since=mark, within_s=ASLEEP_S)
                    await asyncio.to_thread(
                        service.machine.wait_for, lambda: not service.worker("camera"), timeout_s=5, what="no worker"
                    )
                    if not number:
                        workers, devices = capturing(service), open_devices(service)
                        with service.held_by_another(HOLD):  # fails if the camera is not free
                            pass
                    any_s, live_s = await first_pictures(service, number)
                    first.append(any_s)
                    live.append(live_s)
            faults = [line["text"] for line in journal.lines if line["priority"] <= 4 and line.get("event")]
            closed = before == ["camera"] and not workers and not devices and not faults
            record(
                f"nobody watches, `sleep`: workers before; workers and open devices then; another program's try of "
                f"the camera; {TIMES} viewers, from the subscription: slate, and the camera's picture; warnings",
                f"{before}; {workers}, {devices}; opened; {text(first)}; {text(live)} s ({load}); {faults}",
                must=f"camera; none, none; opened; slate <= {SLATE_S:g} s; picture <= {FIRST_S:g} s; none",
                ok=closed and max(first) <= SLATE_S and max(live) <= FIRST_S,
                excuse="the machine was busy" if closed and load.idle_share < BUSY else "",
            )
            assert service.machine.show(UNIT, "ActiveState") == "active"

    asyncio.run(watch())


def text(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in seconds)
