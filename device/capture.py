"""The capturing half: a worker and a track for each enabled source, running for as long as the context lasts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from device.clock import monotonic_us
from device.identity import derived_identity
from device.jobs import CameraJob, MicrophoneJob
from device.tracks.audio import AudioTrack
from device.tracks.slate import Slate
from device.tracks.video import VideoTrack
from device.workers.supervisor import Plan, Supervisor, WorkerState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device.config import Config
    from device.health.promises import Promises
    from device.health.status import Status
    from device.room.session import Track


@asynccontextmanager
async def capturing(config: Config, status: Status, promises: Promises) -> AsyncIterator[list[Track]]:
    """Start the workers and yield the tracks that they feed; on leaving, end the workers within a second."""
    epoch_us = monotonic_us()
    tracks: list[Track] = []
    running: list[asyncio.Task[None]] = []
    slate: Slate | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            if config.camera.source != "off":
                supervisor, video, slate = _camera(config, epoch_us, status, promises)
                tracks.append(video)
                running.append(tasks.create_task(supervisor.run(), name="camera"))
            if config.microphone.source != "off":
                supervisor, audio = _microphone(config, epoch_us, status, promises)
                tracks.append(audio)
                running.append(tasks.create_task(supervisor.run(), name="microphone"))
                running.append(tasks.create_task(audio.run(), name="audio"))
            try:
                yield tracks
            finally:
                for task in running:
                    task.cancel()
                if slate is not None:
                    await slate.aclose()
    finally:
        for track in tracks:
            await track.aclose()


def _camera(config: Config, epoch_us: int, status: Status, promises: Promises) -> tuple[Supervisor, VideoTrack, Slate]:
    status.expect("camera")
    camera = config.camera
    name = config.room.identity or config.room.display_name or derived_identity()
    job = CameraJob(**camera.model_dump(), identity=name, epoch_us=epoch_us)
    track = VideoTrack(job, command=lambda *order: supervisor.command(*order))  # noqa: PLW0108
    slate = Slate(
        title=config.room.display_name or name, width=camera.width, height=camera.height, deliver=track.deliver
    )
    track.on_viewer = slate.welcome
    track.on_news = status.video

    def on_state(state: WorkerState, why: str) -> None:
        if state is WorkerState.LIVE:
            slate.hide()
            track.worker_started()
        elif state is not WorkerState.STARTING:
            slate.show(why)
        status.worker("camera", state, why)

    supervisor = Supervisor(
        Plan(
            name="camera",
            module="device.workers.camera",
            settings=job.to_wire(),
            stall_s=max(config.watch.camera_stall_s, 3 / camera.fps),
        ),
        on_media=track.deliver,
        on_state=on_state,
        on_notice=lambda text: status.worker("camera", WorkerState.LIVE, text),
        promises=promises,
    )
    return supervisor, track, slate


def _microphone(config: Config, epoch_us: int, status: Status, promises: Promises) -> tuple[Supervisor, AudioTrack]:
    status.expect("microphone")
    microphone = config.microphone
    job = MicrophoneJob(**microphone.model_dump(exclude={"processing"}), epoch_us=epoch_us)
    # Noise suppression would take a steady tone away, and a file is as its maker wanted it.
    track = AudioTrack(
        job,
        processing=microphone.processing and microphone.source == "pyaudio",
        command=lambda *order: supervisor.command(*order),  # it is made below  # noqa: PLW0108
    )

    def on_state(state: WorkerState, why: str) -> None:
        if state is WorkerState.LIVE:
            track.worker_started()
        status.worker("microphone", state, why)

    supervisor = Supervisor(
        Plan(
            name="microphone",
            module="device.workers.microphone",
            settings=job.to_wire(),
            stall_s=config.watch.microphone_stall_s,
        ),
        on_media=track.deliver,
        on_state=on_state,
        on_notice=lambda text: status.worker("microphone", WorkerState.LIVE, text),
        promises=promises,
    )
    return supervisor, track
