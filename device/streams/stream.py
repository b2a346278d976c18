"""A stream: one capture with a name, a worker that produces units, and the consumers of the units."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device.ipc.messages import CameraJob, MicrophoneJob
from device.ipc.requester import Requester
from device.ipc.supervisor import Supervisor
from device.ipc.worker_state import WorkerState
from device.streams.fanout import Fanout
from device.streams.plan import StreamPlan
from device.streams.slate import Slate
from device.tracks.audio import AudioTrack
from device.tracks.video import VideoTrack

if TYPE_CHECKING:
    from device.ipc.detected import Detected
    from device.ipc.worker_process import SpawnedWorker
    from device.lifecycle.deadlines import Deadlines
    from device.speaker.reference import EchoReference
    from device.streams.plan import StreamObserver
    from device.streams.watching import Viewers, Watching


_SLATE_SHOWN = frozenset({WorkerState.STALLED, WorkerState.ABSENT, WorkerState.PRIVACY, WorkerState.ASLEEP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One complete stream. `slate` substitutes for the worker in front of the consumers; video streams have one.

    `watching` knows whether anybody watches; None if that changes nothing, which is the default.
    """

    name: str
    supervisor: Supervisor
    consumers: Fanout[Any]
    track: VideoTrack | AudioTrack
    detected: Detected
    slate: Slate | None = None
    watching: Watching | None = None

    @property
    def drops(self) -> dict[str, int]:
        """What was dropped since the daemon's start, by cause: in the workers, and before the SDK in the daemon."""
        found, here = self.supervisor.counts.drops, self.track.dropped
        return found | ({"sdk_busy": here} if isinstance(self.track, VideoTrack) else {"late": found["late"] + here})

    async def run(self) -> None:
        """Capture and publish until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.supervisor.run(), name=f"{self.name}-worker")
            tasks.create_task(self._run_track(), name=f"{self.name}-track")
            if self.watching is not None:
                tasks.create_task(self.watching.run(), name=f"{self.name}-watching")

    async def _run_track(self) -> None:
        await self.track.wanted.wait()
        await self.track.run()

    def conceal(self) -> None:
        """Capture and feed nothing until `reveal`; viewers see the slate of privacy, and hear silence."""
        self.supervisor.hold()
        self.track.forget()

    def reveal(self) -> None:
        """Capture and publish again."""
        self.supervisor.release()

    async def concealed(self) -> bool:
        """Wait until the device is closed; return False if its worker hangs in the kernel, which keeps it open."""
        await self.supervisor.held.paused()
        return not self.supervisor.unkillable

    def replan(self, plan: StreamPlan, *, restart: bool) -> None:
        """Use another plan; with `restart` the worker is restarted. The track stays published."""
        match plan.worker.job, self.track:
            case CameraJob() as job, VideoTrack() as video:
                video.reconfigure(job)
                if self.slate is not None:
                    width, height = job.published_size
                    self.slate.reconfigure(title=plan.title, width=width, height=height)
            case MicrophoneJob(), AudioTrack() as audio:
                audio.reconfigure(processing=plan.processing, redundancy=plan.redundancy)
        if self.watching is not None:
            self.watching.configure(when_unwatched=plan.when_unwatched, sleep_after_s=plan.sleep_after_s)
        known = plan.required or self.detected.has(self.name)
        if known:
            self.track.wanted.set()
        self.supervisor.replace_plan(plan.worker, known=known)
        if restart:
            self.supervisor.restart("the configuration changed")

    async def aclose(self) -> None:
        """Free the slate and the track, after `run` has ended."""
        if self.slate is not None:
            await self.slate.aclose()
        await self.track.aclose()


def build_stream(
    plan: StreamPlan,
    *,
    spawned: SpawnedWorker | None,
    observer: StreamObserver,
    detected: Detected,
    deadlines: Deadlines,
    echo: EchoReference | None = None,
    viewers: Viewers | None = None,
) -> Stream:
    """Return the stream of a plan, around a worker that was started ahead, if any.

    `echo` is what the device's own speaker plays; a microphone of the device hears it.
    `viewers` are those of the device.
    """
    name, slate = plan.name, None
    requests, consumers = Requester(name), Fanout[Any](name)
    track: VideoTrack | AudioTrack
    match plan.worker.job:
        case CameraJob() as job:
            width, height = job.published_size
            slate = Slate(name, title=plan.title, width=width, height=height, deliver=consumers.deliver)
            track = VideoTrack(
                name,
                job,
                send=requests.post,
                cameras=plan.cameras,
                on_viewer=slate.viewer_joined,
                on_summary=lambda text: observer.sending(name, text),
            )
        case MicrophoneJob() as job:
            track = AudioTrack(
                name,
                job,
                processing=plan.processing,
                redundancy=plan.redundancy,
                send=requests.post,
                echo=echo.reader() if echo is not None and plan.is_device else None,
            )
    consumers.add(track, essential=True)
    known = plan.required or detected.has(name)
    if known:
        track.wanted.set()

    def on_known() -> None:
        track.wanted.set()
        if StreamPlan(worker=supervisor.plan).is_device:  # not the first plan's
            detected.add(name)

    def on_state(state: WorkerState, why: str) -> None:
        if state is WorkerState.LIVE:
            if slate is not None:
                slate.hide()
            consumers.worker_started()
        elif state in _SLATE_SHOWN and slate is not None:
            slate.show(why, state)
        observer.worker(name, state, why)

    supervisor = Supervisor(
        plan.worker,
        requests=requests,
        spawned=spawned,
        on_media=consumers.deliver,
        on_state=on_state,
        on_notice=lambda text: observer.worker(name, WorkerState.LIVE, text),
        on_failure=lambda why: observer.failed(name, why),
        known=known,
        on_known=on_known,
        deadlines=deadlines,
    )
    return Stream(
        name=name,
        supervisor=supervisor,
        consumers=consumers,
        track=track,
        detected=detected,
        slate=slate,
        watching=viewers.watching(plan, track, supervisor, slate) if viewers else None,
    )
