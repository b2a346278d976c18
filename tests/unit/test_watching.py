"""What carries out the watch policy: track, worker, sound, listeners, and what is reported. The clock is the test's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from device.ipc.worker_plan import WorkerPlan
from device.ipc.worker_state import WorkerState
from device.room.audience import Audience
from device.streams import watching
from device.streams.plan import StreamPlan
from device.streams.watch_policy import Sending
from device.streams.watching import Viewers, Watching
from device.telemetry.room_state import PublishState
from device.telemetry.transport_stats import TransportStats
from device.tracks.audio import AudioTrack
from device.tracks.video import VideoTrack
from tests.unit.workers.watched import CAMERA, MICROPHONE

if TYPE_CHECKING:
    from device.streams.plan import StreamObserver

ASLEEP = WorkerState.ASLEEP


def plan(name: str, **changes: Any) -> StreamPlan:
    job = MICROPHONE if name == "microphone" else CAMERA
    return StreamPlan(worker=WorkerPlan(name=name, module="", job=job, stall_s=2.0), **changes)


class Scene:
    """A device with a camera that sleeps and a microphone; `done` has what was done with them."""

    def __init__(self, clock: list[float], *, others: str = "sleep") -> None:
        self.clock = clock
        self.done: list[str] = []
        self.reported: list[tuple[str, str, str]] = []
        plans = [plan("camera", when_unwatched="sleep", sleep_after_s=60.0), plan("back", when_unwatched=others)]
        observer = SimpleNamespace(worker=self._reported, failed=self._said, sending=self._said)
        self.viewers = Viewers(plans, cast("StreamObserver", observer))
        sound = AudioTrack.__new__(AudioTrack)
        monitored: Any = sound
        monitored.pause = lambda paused: self.done.append(f"sound {'paused' if paused else 'sent'}")
        assert self.viewers.watching(plan("microphone"), sound, self._supervisor(), None) is None
        track: Any = VideoTrack.__new__(VideoTrack)
        track.track = SimpleNamespace(name="camera")
        track.pause = lambda: self.done.append("pause")
        track.resume = lambda: self.done.append("resume")
        slate: Any = SimpleNamespace(viewer_joined=lambda: self.done.append("slate"))
        camera = self.viewers.watching(plans[0], track, self._supervisor(), slate)
        assert isinstance(camera, Watching)
        self.camera = camera

    def _supervisor(self) -> Any:
        return SimpleNamespace(
            state=WorkerState.LIVE,
            hold=lambda state: self.done.append(f"hold {state.value}"),
            release=lambda state: self.done.append(f"release {state.value}"),
        )

    def _reported(self, name: str, state: WorkerState, why: str) -> None:
        self.reported.append((name, state.value, why))

    def _said(self, *_words: str) -> None: ...

    @property
    def camera_done(self) -> list[str]:
        return [each for each in self.done if not each.startswith("sound")]

    def at(self, seconds: float) -> None:
        """Advance the clock."""
        self.clock[0] = 1000.0 + seconds

    def update(self) -> None:
        """Let the camera do what is due now."""
        self.camera.participants(self.camera.others)

    def unwatched(self) -> None:
        """Let a session begin, and the camera pause 10 s later."""
        self.camera.joined()
        self.camera.participants(0)
        self.at(8)
        self.camera.active(active=False)
        self.at(10)
        self.update()
        assert self.camera.state is Sending.PAUSED

    def asleep(self) -> None:
        """Let the camera pause, and sleep after that; what was done for it is forgotten."""
        self.unwatched()
        self.at(70)
        self.update()
        self.done.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0] + 1e9))
    return now


def test_a_participant_who_leaves_opens_no_camera_and_one_who_joins_does(clock: list[float]) -> None:
    scene = Scene(clock)
    scene.camera.joined()
    scene.camera.participants(2)
    scene.at(20)
    scene.camera.active(active=False)
    scene.update()
    assert scene.camera.waiting.is_set()
    scene.camera.participants(1)
    assert scene.camera.waiting.is_set()
    scene.camera.participants(2)
    assert not scene.camera.waiting.is_set()


def test_a_pause_a_sleep_and_a_viewer(clock: list[float]) -> None:
    scene = Scene(clock)
    scene.viewers.worker("camera", WorkerState.LIVE, "")
    scene.unwatched()
    scene.at(70)
    scene.update()
    scene.viewers.worker("camera", ASLEEP, "")
    assert scene.camera_done == ["pause", "hold asleep"]
    scene.camera.active(active=True)
    assert scene.camera_done[2:] == ["resume", "release asleep", "slate"]
    assert [each[1:] for each in scene.reported][:3] == [
        ("live", ""),
        ("paused", "nobody watches"),
        ("asleep", "nobody watches"),
    ]


def test_faults_and_privacy_are_reported_while_it_is_paused(clock: list[float]) -> None:
    scene = Scene(clock)
    scene.unwatched()
    for state in (WorkerState.STALLED, WorkerState.ABSENT, WorkerState.PRIVACY):
        scene.viewers.worker("camera", state, "why")
        assert scene.reported[-1] == ("camera", state.value, "why")
    scene.viewers.worker("back", WorkerState.LIVE, "")
    assert scene.reported[-1] == ("back", "live", "")


def test_listeners_hear_of_the_first_viewer_and_the_last_and_seconds_are_counted(clock: list[float]) -> None:
    scene = Scene(clock)
    heard: list[bool] = []

    def broken(_watched: bool) -> None:  # noqa: FBT001 - a listener
        raise RuntimeError

    scene.camera.listeners.extend((broken, heard.append))
    scene.unwatched()
    with capture_logs() as logs:
        scene.camera.subscribed()
    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["viewers.listener_failed"]
    scene.at(30)
    assert (heard, scene.camera.watched_s, scene.camera.since) == ([True], 20.0, 1010.0 + 1e9)
    scene.camera.active(active=False)
    scene.at(99)
    assert (heard, scene.camera.watched_s, scene.camera.watched) == ([True, False], 20.0, False)


def test_sound_is_paused_if_no_camera_sends_and_nobody_else_is_there(clock: list[float]) -> None:
    scene = Scene(clock)
    scene.unwatched()
    assert scene.done[-1] == "sound paused"
    scene.camera.participants(1)
    assert scene.done[-1] == "sound sent"
    scene.at(30)
    scene.camera.active(active=False)
    assert scene.camera.state is Sending.PAUSED
    assert scene.done[-1] == "sound sent"
    scene.camera.participants(0)
    assert scene.done[-1] == "sound paused"


def test_sound_is_sent_always_beside_a_camera_that_is(clock: list[float]) -> None:
    scene = Scene(clock, others="send")
    scene.unwatched()
    assert not [each for each in scene.done if each.startswith("sound")]


def test_a_source_that_is_asleep_is_open_for_a_snapshot_only(clock: list[float]) -> None:
    scene = Scene(clock)
    scene.asleep()

    async def snapshot() -> None:
        async def opened() -> None:
            await asyncio.sleep(0)
            scene.viewers.worker("camera", WorkerState.LIVE, "")

        opening = asyncio.create_task(opened())
        async with scene.camera.open():
            assert scene.camera_done == ["release asleep"]
            assert scene.reported[-1] == ("camera", "asleep", "nobody watches")
        await opening

    asyncio.run(snapshot())
    assert scene.camera_done == ["release asleep", "hold asleep"]


def test_a_camera_that_broke_while_paused_does_not_sleep_before_it_delivers(clock: list[float]) -> None:
    scene = Scene(clock)
    scene.unwatched()
    scene.viewers.worker("camera", WorkerState.ABSENT, "no camera")
    scene.at(1000)
    scene.update()
    states = [scene.camera.state]
    assert scene.reported[-1] == ("camera", "absent", "no camera")
    scene.viewers.worker("camera", WorkerState.LIVE, "")
    scene.update()
    states.append(scene.camera.state)
    assert states == [Sending.PAUSED, Sending.ASLEEP]
    assert scene.camera_done == ["pause", "hold asleep"]


def test_privacy_does_not_mend_a_camera_that_broke_while_paused(clock: list[float]) -> None:
    scene = Scene(clock)
    scene.unwatched()
    scene.viewers.worker("camera", WorkerState.STALLED, "no picture")
    scene.viewers.worker("camera", WorkerState.PRIVACY, "")
    scene.at(1000)
    scene.update()
    assert scene.camera.state is Sending.PAUSED


def test_a_camera_that_is_found_broken_by_a_snapshot_stays_open(clock: list[float]) -> None:
    scene = Scene(clock)
    scene.asleep()

    async def snapshot() -> None:
        async with scene.camera.open():
            scene.viewers.worker("camera", WorkerState.STALLED, "no picture")

    scene.camera.shown(WorkerState.LIVE, "")  # so that `open` waits for nothing
    asyncio.run(snapshot())
    assert scene.camera_done == ["release asleep"]
    assert scene.camera.state is Sending.PAUSED
    assert scene.reported[-1] == ("camera", "stalled", "no picture")


class Ticking:
    """A clock that advances each time that it is read, as real ones do."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now

    time = monotonic


def test_what_becomes_due_while_it_is_looked_at_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, asked = Scene([1000.0]), []
    monkeypatch.setattr(watching, "time", Ticking())

    class Policy:
        watched, state = False, Sending.SENDING

        def update(self, now: float) -> None:
            asked.append(now)

        def next_at(self, now: float) -> float:
            asked.append(now)
            return float("inf")

    monkeypatch.setattr(scene.camera, "_policy", Policy())

    async def look() -> None:
        running = asyncio.create_task(scene.camera.run())
        await asyncio.sleep(0)
        running.cancel()

    asyncio.run(look())
    assert len(asked) == 2
    assert asked[0] == asked[1]


class FakeRoom:
    """Emits what the test says."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}
        self.remote_participants: dict[str, object] = {}

    def on(self, event: str, handler: Any) -> None:
        self.handlers[event] = handler


def test_the_room_wakes_a_stream_by_participants_subscriptions_and_samples(clock: list[float]) -> None:
    scene, room = Scene(clock), FakeRoom()
    sampler: Any = SimpleNamespace(listeners=[], for_viewers_only=False)
    audience = Audience(cast("Any", room), sampler, [scene.camera])
    assert sampler.for_viewers_only
    [sampled] = sampler.listeners
    room.handlers["participant_connected"](None)  # before the session has begun
    audience.joined()
    sampled(SimpleNamespace(stats=TransportStats(responses=1, active={"camera": False})))
    scene.at(11)
    scene.update()
    states = [scene.camera.state]
    room.remote_participants["viewer"] = object()
    room.handlers["participant_connected"](None)
    states.append(scene.camera.state)
    room.handlers["local_track_subscribed"](object())
    assert not scene.camera.watched
    room.handlers["local_track_subscribed"](scene.camera.track.track)
    assert scene.camera.watched
    assert states == [Sending.PAUSED, Sending.SENDING]
    audience.left()
    room.handlers["local_track_subscribed"](scene.camera.track.track)
    scene.at(42)
    scene.update()
    assert (scene.camera.watched, scene.camera.state) == (False, Sending.PAUSED)


class FakeSampler:
    """Counts how often it is asked, and says then that nobody watches."""

    def __init__(self) -> None:
        self.listeners: list[Any] = []
        self.for_viewers_only = False
        self.asked: asyncio.Queue[str] = asyncio.Queue()

    async def active(self, track: Any) -> bool:
        self.asked.put_nowait(track.track.name)
        return False


def test_the_sdk_is_asked_often_only_while_nothing_is_sent(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        scene, sampler, slept = Scene(clock), FakeSampler(), 0
        sleep = asyncio.sleep

        async def counted(_seconds: float) -> None:
            nonlocal slept
            slept += 1
            await sleep(0)

        monkeypatch.setattr(asyncio, "sleep", counted)
        audience = Audience(cast("Any", FakeRoom()), cast("Any", sampler), [scene.camera])
        asking = asyncio.create_task(audience.run())
        audience.joined()
        audience.publication("camera", PublishState.PUBLISHED)
        for _ in range(20):
            await sleep(0)
        assert (sampler.asked.qsize(), slept) == (0, 0)
        scene.unwatched()
        for _ in range(3):
            assert await sampler.asked.get() == "camera"
        scene.camera.subscribed()
        for _ in range(5):
            await sleep(0)
        before, asked = slept, sampler.asked.qsize()
        for _ in range(20):
            await sleep(0)
        assert (sampler.asked.qsize(), slept) == (asked, before)
        audience.publication("camera", PublishState.FORBIDDEN)
        scene.at(100)
        scene.update()
        assert scene.camera.waiting.is_set()
        for _ in range(20):
            await sleep(0)
        assert (sampler.asked.qsize(), slept) == (asked, before)  # a track that is not published has no statistics
        asking.cancel()

    asyncio.run(run())


def test_a_camera_that_the_room_forbids_pauses_and_sends_when_it_is_allowed(clock: list[float]) -> None:
    scene, room = Scene(clock), FakeRoom()
    audience = Audience(cast("Any", room), cast("Any", FakeSampler()), [scene.camera])
    audience.joined()
    audience.publication("microphone", PublishState.FORBIDDEN)
    audience.publication("camera", PublishState.FORBIDDEN)
    scene.at(11)
    scene.update()
    states = [scene.camera.state]
    audience.publication("camera", PublishState.PUBLISHED)
    states.append(scene.camera.state)
    assert states == [Sending.PAUSED, Sending.SENDING]


def test_a_publication_that_begins_or_begins_again_is_not_a_viewer(clock: list[float]) -> None:
    scene, room = Scene(clock), FakeRoom()
    heard: list[bool] = []
    scene.camera.listeners.append(heard.append)
    audience = Audience(cast("Any", room), cast("Any", FakeSampler()), [scene.camera])
    audience.joined()
    audience.publication("camera", PublishState.PUBLISHED)
    scene.at(8)
    scene.camera.active(active=False)
    scene.at(100)
    room.handlers["local_track_republished"](SimpleNamespace(track=object()), "TR_before")
    room.handlers["local_track_republished"](SimpleNamespace(track=scene.camera.track.track), "TR_before")
    scene.camera.active(active=True)
    scene.at(111)
    scene.camera.active(active=False)
    audience.publication("camera", PublishState.FORBIDDEN)
    scene.at(200)
    audience.publication("camera", PublishState.PUBLISHED)
    scene.camera.active(active=True)
    scene.at(211)
    scene.camera.active(active=False)
    assert heard == []
    scene.camera.subscribed()
    audience.publication("camera", PublishState.MUTED)
    audience.publication("camera", PublishState.PUBLISHED)  # the same publication
    assert scene.camera.watched
    scene.at(220)
    scene.camera.active(active=False)
    scene.camera.active(active=True)
    assert heard == [True, False, True]
    scene.at(300)
    scene.camera.active(active=False)
    scene.at(320)
    scene.update()
    states = [scene.camera.state]
    room.remote_participants["viewer"] = object()  # whose subscription the SDK may not report
    room.handlers["local_track_republished"](SimpleNamespace(track=scene.camera.track.track), "TR_before")
    states.append(scene.camera.state)
    assert states == [Sending.PAUSED, Sending.SENDING]
    assert heard == [True, False, True, False]


def test_the_daemon_loads_nothing_of_it_unless_a_camera_needs_it() -> None:
    program = "import sys, device.app, device.room.connection, device.streams.stream, device.control.performer\n"
    program += "import device.workers.camera\n"
    parts = ("device.streams.watch", "device.room.audience", "device.workers.pausing")
    program += f"print([name for name in sys.modules if name.startswith({parts})])"
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
