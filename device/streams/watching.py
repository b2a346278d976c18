"""Carries out for one camera what `watch_policy` decides: it sends, is paused, or its source is closed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from device.ipc.messages import CameraJob
from device.ipc.worker_state import WorkerState
from device.streams.watch_policy import Sending, WatchPolicy
from device.tracks.audio import AudioTrack
from device.tracks.video import VideoTrack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from device.ipc.supervisor import Supervisor
    from device.streams.plan import StreamObserver, StreamPlan
    from device.streams.slate import Slate
    from device.tracks.track import Track

log = structlog.get_logger()


_WHY = "nobody watches"
_SHOWN = {Sending.PAUSED: WorkerState.PAUSED, Sending.ASLEEP: WorkerState.ASLEEP}
# What is no news to viewers while nothing is sent; everything else is a fault, or privacy.
_USUAL = frozenset({WorkerState.STARTING, WorkerState.LIVE, WorkerState.ASLEEP})
_NO_PICTURE = frozenset({WorkerState.STALLED, WorkerState.ABSENT, WorkerState.NOT_PRESENT})
_OPENS_S = 15.0


class Viewers:
    """What the streams of a device share: what is called, and the sound, which follows the pictures.

    `listeners` are called on each change of whether anybody watches one of the cameras. Sound is paused if no camera
    sends and nobody else is in the room: nothing tells whether sound is subscribed to. As an observer it adds to the
    state of a camera that it is paused.
    """

    def __init__(self, plans: Sequence[StreamPlan], observer: StreamObserver) -> None:
        self.listeners: list[Callable[[bool], None]] = []
        self._observer, self._watched = observer, False
        self._cameras: dict[str, Watching] = {}
        self._sounds: list[AudioTrack] = []
        self._sends_always = any(
            isinstance(each.worker.job, CameraJob) and each.when_unwatched == "send" for each in plans
        )

    def watching(self, plan: StreamPlan, track: Track, supervisor: Supervisor, slate: Slate | None) -> Watching | None:
        """Return what has to be known of the viewers of a stream; None if that changes nothing."""
        if isinstance(track, AudioTrack) and not self._sends_always:
            self._sounds.append(track)
        if not isinstance(track, VideoTrack) or slate is None or plan.when_unwatched == "send":
            return None
        camera = Watching(viewers=self, track=track, supervisor=supervisor, slate=slate)
        camera.configure(when_unwatched=plan.when_unwatched, sleep_after_s=plan.sleep_after_s)
        self._cameras[plan.name] = camera
        return camera

    def worker(self, name: str, state: WorkerState, why: str) -> None:
        camera = self._cameras.get(name)
        self._observer.worker(name, *(camera.shown(state, why) if camera else (state, why)))

    def failed(self, name: str, why: str) -> None:
        self._observer.failed(name, why)

    def sending(self, name: str, text: str) -> None:
        self._observer.sending(name, text)

    def changed(self) -> None:
        """Act on a change of one camera, or of the participants."""
        sends = any(each.others or each.state is Sending.SENDING for each in self._cameras.values())
        for sound in self._sounds:
            sound.pause(not sends)
        watched = any(each.watched for each in self._cameras.values())
        if watched is not self._watched:
            self._watched = watched
            for listener in self.listeners:
                try:
                    listener(watched)
                except Exception:  # it must not affect the picture
                    log.exception("viewers.listener_failed")


class Watching:
    """The viewers of one camera.

    `watched`: whether anybody watches, as far as that is certain; `since`, in epoch seconds; `watched_s`, in all since
    the start. `waiting` is set while nothing is sent.
    """

    def __init__(
        self,
        *,
        viewers: Viewers,
        track: VideoTrack,
        supervisor: Supervisor,
        slate: Slate,
    ) -> None:
        self.track, self.watched, self.since = track, False, time.time()
        self.state = Sending.SENDING
        self._viewers, self._supervisor, self._slate = viewers, supervisor, slate
        self._policy = WatchPolicy(
            started_at=time.monotonic(), sleep_after_s=None, delivers=supervisor.state is WorkerState.LIVE
        )
        self._reported = (supervisor.state, "")
        self._watched_at, self._watched_before_s = 0.0, 0.0
        self._changed, self._settled = asyncio.Event(), asyncio.Event()
        self.waiting = asyncio.Event()
        self.others = 0  # participants in the room
        self._borrowers = 0

    @property
    def name(self) -> str:
        return self.track.track.name

    @property
    def listeners(self) -> list[Callable[[bool], None]]:
        """What is called when the first viewer of any camera comes, or the last one goes."""
        return self._viewers.listeners

    @property
    def watched_s(self) -> float:
        return self._watched_before_s + (time.monotonic() - self._watched_at if self.watched else 0.0)

    def configure(self, *, when_unwatched: str, sleep_after_s: float) -> None:
        """Use other times from now on."""
        self._policy.sleep_after_s = sleep_after_s if when_unwatched == "sleep" else None
        self._changed.set()

    async def run(self) -> None:
        """Pause and sleep when it is time, until cancelled."""
        while True:
            now = time.monotonic()
            self._update(now)
            self._changed.clear()
            left_s = self._policy.next_at(now) - now
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if left_s == float("inf") else left_s):
                    await self._changed.wait()

    # What the room says (`device.room.audience`).

    def joined(self) -> None:
        self._policy.joined(now := time.monotonic())
        self._update(now)

    def left(self) -> None:
        self._policy.left(time.monotonic())
        self.participants(0)

    def published(self) -> None:
        self._policy.published(now := time.monotonic())
        self._update(now)

    def forbidden(self) -> None:
        self._policy.forbidden()
        self._update(time.monotonic())

    def participants(self, count: int) -> None:
        """Note how many other participants are in the room."""
        now = time.monotonic()
        if count > self.others:
            self._policy.may_be_watched(now)
        self.others = count
        self._update(now)

    def may_be_watched(self) -> None:
        self._policy.may_be_watched(now := time.monotonic())
        self._update(now)

    def subscribed(self) -> None:
        self._policy.subscribed(now := time.monotonic())
        self._update(now)

    def active(self, *, active: bool | None) -> None:
        self._policy.active(active=active, now=(now := time.monotonic()))
        self._update(now)

    # What the stream says and asks.

    def shown(self, state: WorkerState, why: str) -> tuple[WorkerState, str]:
        """Return the state that viewers and operators read, for a state of the supervisor."""
        self._reported = state, why
        if state in (WorkerState.STARTING, WorkerState.ASLEEP):
            self._settled.clear()
        else:
            self._settled.set()
            if state is WorkerState.LIVE or state in _NO_PICTURE:  # privacy says nothing about it
                self._policy.delivers = state is WorkerState.LIVE
            self._changed.set()
        return (_SHOWN[self.state], _WHY) if self.waiting.is_set() and state in _USUAL else (state, why)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Keep the source open while the context lasts, without sending: for a snapshot."""
        self._borrowers += 1
        try:
            if self.state is Sending.ASLEEP:
                self._supervisor.release(WorkerState.ASLEEP)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_OPENS_S):
                        await self._settled.wait()
            yield
        finally:
            self._borrowers -= 1
            self._update(time.monotonic())  # whether it delivers
            if self.state is Sending.ASLEEP and not self._borrowers:
                self._supervisor.hold(WorkerState.ASLEEP)

    def _update(self, now: float) -> None:
        """Do what is due at this moment."""
        self._policy.update(now)
        if self._policy.watched is not self.watched:
            self._watched_before_s = self.watched_s
            self.watched, self.since, self._watched_at = self._policy.watched, time.time(), now
        if self._policy.state is not self.state:
            self._become(self._policy.state)
        self._changed.set()
        self._viewers.changed()

    def _become(self, new: Sending) -> None:
        old, self.state = self.state, new
        if new is Sending.SENDING:
            self.waiting.clear()
        else:
            self.waiting.set()
        log.info("camera.sending", stream=self.name, old=old.value, new=new.value, watched=self.watched)
        if new is Sending.PAUSED and old is Sending.SENDING:
            self.track.pause()
        elif new is Sending.ASLEEP and not self._borrowers:
            self._supervisor.hold(WorkerState.ASLEEP)
        elif new is Sending.SENDING:
            self.track.resume()
            self._supervisor.release(WorkerState.ASLEEP)
            self._slate.viewer_joined()
        self._viewers.worker(self.name, *self._reported)
