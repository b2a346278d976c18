"""Several cameras and microphones: one fails, the others are unaffected; and the real daemon by configuration."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from livekit import rtc
from structlog.testing import capture_logs

from device.ipc.worker_plan import WorkerPlan
from device.ipc.worker_state import WorkerState
from device.lifecycle.deadlines import Deadlines
from device.room.session import Session
from device.streams.capture import capturing
from device.streams.plan import StreamPlan
from device.telemetry.attributes import Attributes
from device.telemetry.room_state import PublishState
from device.tokens.grants import read_grants
from device.tokens.join_token import JoinToken
from tests.support import daemon as daemons
from tests.support.received import Received, receiving
from tests.support.tokens import token
from tests.unit.workers.watched import CAMERA, MICROPHONE

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from pathlib import Path

    from device.ipc.messages import Job
    from device.telemetry.sampler import Sample
    from tests.support.livekit_server import Server

LIMIT_S = 30.0
STALL_S = 2.0
SLATE = (480, 360)
JOBS: dict[str, Job] = {
    "front": replace(CAMERA, width=640, height=360),
    "back": replace(CAMERA, width=640, height=480),
    "hall": MICROPHONE,
    "cellar": MICROPHONE,
}


@dataclass
class Observer:
    """What the streams report, by name."""

    states: dict[str, list[WorkerState]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def worker(self, name: str, state: WorkerState, _why: str) -> None:
        self.states.setdefault(name, []).append(state)

    def failed(self, name: str, _why: str) -> None:
        self.failures.append(name)

    def sending(self, name: str, text: str) -> None:
        self.texts[name] = text


def plan(name: str, job: Job) -> StreamPlan:
    kind = "camera" if name in ("front", "back") else "microphone"
    worker = WorkerPlan(name=name, module=f"device.workers.{kind}", job=job, stall_s=STALL_S)
    return StreamPlan(worker=worker, title=name)


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # what other processes do  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.alone
def test_one_camera_and_one_microphone_fail_alone(server: Server, room: str) -> None:
    with capture_logs() as lines:
        asyncio.run(scenario(server, room, lines))


async def scenario(server: Server, room: str, lines: Sequence[MutableMapping[str, Any]]) -> None:
    observer, received = Observer(), Received()
    publications: dict[str, PublishState] = {}
    samples: list[Sample] = []
    jwt = token(server, room, identity="device", publish=True)
    subscriber = rtc.Room()
    subscriber.on("track_subscribed", received.on_track)
    await subscriber.connect(server.url, token(server, room), rtc.RoomOptions(auto_subscribe=True))
    plans = [plan(name, job) for name, job in JOBS.items()]
    try:
        async with (
            asyncio.timeout(LIMIT_S),
            capturing(plans, observer=observer, deadlines=Deadlines()) as streams,
            asyncio.TaskGroup() as tasks,
        ):
            assert [each.name for each in streams] == list(JOBS)
            session = Session(
                JoinToken(url=server.url, token=jwt, grants=read_grants(jwt)),
                tracks=[each.track for each in streams],
                attributes=Attributes(),
                on_publication=publications.__setitem__,
            )
            session.sampler.listeners.append(samples.append)
            running = tasks.create_task(session.run())
            await until(
                lambda: (
                    received.sizes.get("front", Counter())[640, 360] > 30
                    and received.sizes.get("back", Counter())[640, 480] > 30
                    and received.blocks["hall"] > 30
                    and received.blocks["cellar"] > 30
                )
            )
            assert publications == dict.fromkeys(JOBS, PublishState.PUBLISHED)
            assert {name: states[-1] for name, states in observer.states.items()} == dict.fromkeys(
                JOBS, WorkerState.LIVE
            )
            await until(lambda: samples and samples[-1].stats.reports.keys() == JOBS.keys())
            pids = {line["worker"]: line["pid"] for line in lines if line["event"] == "worker.spawned"}
            for name in ("back", "cellar"):
                os.kill(pids[name], signal.SIGSTOP)
            struck_at = len(samples)
            await until(lambda: WorkerState.STALLED in observer.states["back"] + observer.states["cellar"])
            await until(lambda: received.sizes["back"][SLATE] > 0)
            await until(lambda: observer.states["back"][-1] is observer.states["cellar"][-1] is WorkerState.LIVE)
            # The two others never left their state, and their counts rise in every sample.
            for name in ("front", "hall"):
                assert observer.states[name] == [WorkerState.STARTING, WorkerState.LIVE]
                sent = [each.stats.sent[name] for each in samples[struck_at:]]
                assert len(sent) >= STALL_S
                assert all(later > earlier for earlier, later in pairwise(sent))
            assert set(observer.failures) == {"back", "cellar"}
            assert received.sizes["front"].keys() == {(640, 360)}
            seen = received.sizes["back"][640, 480]
            await until(lambda: received.sizes["back"][640, 480] > seen + 30)
            assert observer.texts["front"].startswith("640x360 at ")
            running.cancel()
    finally:
        for task in received.tasks:
            task.cancel()
        await subscriber.disconnect()


CONFIG = """
[camera]
width = 320
height = 240
fps = 15
[cameras.garden]
source = "pattern"
width = 480
height = 270
fps = 10
[cameras.yard]
source = "file"
path = "there-is-none.mp4"
[microphones.hall]
source = "tone"
"""
NAMES = {"camera", "garden", "yard", "microphone", "hall"}


def test_the_daemon_publishes_each_table_of_its_configuration(server: Server, room: str, config: Path) -> None:
    config.write_text(CONFIG)
    variables = daemons.environment(server, room, DEVICE_LOG__LEVEL="debug")
    with daemons.running(config, variables) as daemon:
        asyncio.run(_one_of_many_stalls(server, room, daemon))
        done = subprocess.run(
            [sys.executable, "-m", "device", "check", "--config", config],
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    rows = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert "camera pattern, camera.garden pattern, camera.yard file, microphone tone" in rows["values"]
    assert {name: line[0] for name, line in rows.items() if name.startswith(("picture", "sound"))} == {
        "picture": "✓",
        "picture.garden": "✓",
        "picture.yard": "✗",
        "sound": "✓",
        "sound.hall": "✓",
    }
    assert "320x240" in rows["picture"]
    assert "480x270" in rows["picture.garden"]


async def _one_of_many_stalls(server: Server, room: str, daemon: daemons.Daemon) -> None:
    async with receiving(server, room) as (subscriber, received):
        await _until_one_has_stalled(subscriber, received, daemon)


async def _until_one_has_stalled(subscriber: rtc.Room, received: Received, daemon: daemons.Daemon) -> None:
    def states() -> dict[str, str]:
        device = subscriber.remote_participants.get("device")
        named = device.attributes.items() if device else ()
        return {key.removeprefix("device."): value.partition(":")[0] for key, value in named}

    def names() -> set[str]:
        return {each.name for each in subscriber.remote_participants["device"].track_publications.values()}

    try:
        async with asyncio.timeout(LIMIT_S):
            live = {"camera": "live", "camera.garden": "live", "microphone": "live", "microphone.hall": "live"}
            await until(lambda: (live | {"camera.yard": "stalled", "state": "recovering"}).items() <= states().items())
            await until(lambda: names() == NAMES)
            await until(lambda: received.sizes.get("camera", Counter())[320, 240] > 30)
            await until(lambda: received.sizes.get("yard", Counter())[640, 360] > 0)
            await until(lambda: received.blocks["microphone"] > 30 and received.blocks["hall"] > 30)
            await until(lambda: {"video", "video.garden", "video.yard"} <= states().keys())
            os.kill(daemon.event("worker.spawned", worker="garden")["pid"], signal.SIGKILL)
            await until(lambda: any(line.get("old") == "live" and line["worker"] == "garden" for line in daemon.lines))
            seen = received.sizes["camera"][320, 240], received.sizes["garden"][480, 270]
            await until(lambda: received.sizes["garden"][480, 270] > seen[1] and states()["camera.garden"] == "live")
            assert received.sizes["camera"][320, 240] > seen[0]
            # The others never left their state.
            changed = Counter(line["worker"] for line in daemon.lines if line.get("event") == "worker.state")
            assert [changed[name] for name in ("camera", "microphone", "hall")] == [1, 1, 1]
    except TimeoutError:
        raise AssertionError(f"{states()}, {received.sizes}, {received.blocks}") from None
