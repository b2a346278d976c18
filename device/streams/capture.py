"""The capturing half: a worker and a track for each enabled source, running for as long as the context lasts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from device.clock import monotonic_us
from device.config.schema import least_camera_stall_s
from device.identity import derived_identity
from device.ipc.messages import CameraJob, MicrophoneJob
from device.ipc.supervisor import Supervisor, WorkerPlan, WorkerState
from device.streams.slate import Slate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from device.config.schema import Config
    from device.lifecycle.deadlines import Deadlines
    from device.media.block import Block
    from device.media.picture import AccessUnit
    from device.room.publications import Track
    from device.telemetry.status import Status
    from device.tracks.audio import AudioTrack
    from device.tracks.video import VideoTrack


@asynccontextmanager
async def capturing(
    config: Config,
    status: Status,
    deadlines: Deadlines,
    *,
    on_failure: Callable[[str, str], None] = lambda _name, _why: None,
) -> AsyncIterator[list[Track]]:
    """Start the workers, make the tracks that they feed, and yield these; on leaving, end the workers within a second.

    The SDK is loaded when the workers have been started: that takes half a second, and seconds on a small board, in
    which they open their devices. `on_failure` gets the name of a worker that ended, and why, for operators.
    """
    epoch_us = monotonic_us()
    camera = _Camera(config, epoch_us, status, deadlines, on_failure) if config.camera.source != "off" else None
    microphone = (
        _Microphone(config, epoch_us, status, deadlines, on_failure) if config.microphone.source != "off" else None
    )
    parts = [part for part in (camera, microphone) if part is not None]
    running: list[asyncio.Task[None]] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            try:
                for part in parts:
                    running.append(tasks.create_task(part.supervisor.run(), name=part.supervisor.plan.name))
                    await part.supervisor.begun.wait()
                tracks: list[Track] = [part.make_track() for part in parts]
                if microphone is not None and microphone.track is not None:
                    running.append(tasks.create_task(microphone.track.run(), name="audio"))
                yield tracks
            finally:
                for task in running:
                    task.cancel()
                if camera is not None:
                    await camera.slate.aclose()
    finally:
        for part in parts:
            if part.track is not None:
                await part.track.aclose()


class _Camera:
    """The camera's worker, what stands in for it, and the track that both feed."""

    def __init__(
        self,
        config: Config,
        epoch_us: int,
        status: Status,
        deadlines: Deadlines,
        on_failure: Callable[[str, str], None],
    ) -> None:
        status.expect("camera")
        self._status = status
        camera = config.camera
        name = config.room.identity or config.room.display_name or derived_identity()
        self._job = CameraJob(**camera.model_dump(), identity=name, epoch_us=epoch_us)
        self.track: VideoTrack | None = None
        self.slate = Slate(
            title=config.room.display_name or name, width=camera.width, height=camera.height, deliver=self._deliver
        )
        self.supervisor = Supervisor(
            WorkerPlan(
                name="camera",
                module="device.workers.camera",
                job=self._job,
                stall_s=max(config.watch.camera_stall_s, least_camera_stall_s(camera)),
            ),
            on_media=self._deliver,
            on_state=self._on_state,
            on_notice=lambda text: status.worker("camera", WorkerState.LIVE, text),
            on_failure=partial(on_failure, "camera"),
            deadlines=deadlines,
        )

    def make_track(self) -> VideoTrack:
        from device.tracks.video import VideoTrack

        self.track = VideoTrack(self._job, send=self.supervisor.requests.post)
        self.track.on_viewer = self.slate.welcome
        self.track.on_news = self._status.video
        return self.track

    def _deliver(self, unit: AccessUnit) -> None:
        if self.track is not None:
            self.track.deliver(unit)

    def _on_state(self, state: WorkerState, why: str) -> None:
        if state is WorkerState.LIVE:
            self.slate.hide()
            if self.track is not None:
                self.track.worker_started()
        elif state is not WorkerState.STARTING:
            self.slate.show(why)
        self._status.worker("camera", state, why)


class _Microphone:
    """The microphone's worker and the track that it feeds."""

    def __init__(
        self,
        config: Config,
        epoch_us: int,
        status: Status,
        deadlines: Deadlines,
        on_failure: Callable[[str, str], None],
    ) -> None:
        status.expect("microphone")
        self._status = status
        self._settings = config.microphone
        self._job = MicrophoneJob(**self._settings.model_dump(exclude={"processing"}), epoch_us=epoch_us)
        self.track: AudioTrack | None = None
        self.supervisor = Supervisor(
            WorkerPlan(
                name="microphone",
                module="device.workers.microphone",
                job=self._job,
                stall_s=config.watch.microphone_stall_s,
            ),
            on_media=self._deliver,
            on_state=self._on_state,
            on_notice=lambda text: status.worker("microphone", WorkerState.LIVE, text),
            on_failure=partial(on_failure, "microphone"),
            deadlines=deadlines,
        )

    def make_track(self) -> AudioTrack:
        from device.tracks.audio import AudioTrack

        # Noise suppression would take a steady tone away, and a file is as its maker wanted it.
        processing = self._settings.processing and self._settings.source == "pyaudio"
        self.track = AudioTrack(self._job, processing=processing, send=self.supervisor.requests.post)
        return self.track

    def _deliver(self, block: Block) -> None:
        if self.track is not None:
            self.track.deliver(block)

    def _on_state(self, state: WorkerState, why: str) -> None:
        if state is WorkerState.LIVE and self.track is not None:
            self.track.worker_started()
        self._status.worker("microphone", state, why)
