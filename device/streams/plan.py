"""What each stream captures, and the interface that gets its state. Importable without the SDK."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from device.clock import monotonic_us
from device.config.capture_rules import least_camera_stall_s
from device.config.stream_urls import with_urls
from device.identity import derived_identity
from device.ipc.messages import CameraJob, MicrophoneJob
from device.ipc.worker_plan import WorkerPlan

if TYPE_CHECKING:
    from device.config.effective import Camera, Config, Microphone
    from device.config.streams import NamedStream
    from device.ipc.worker_state import WorkerState

_NO_DEVICES = frozenset({"pattern", "tone", "file", "stream"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """A worker, whose name is the stream's.

    title: of the slate
    processing: the SDK processes the sound
    redundancy: sound is sent twice
    cameras: how many share the link with this one
    when_unwatched, sleep_after_s: as in the configuration; of cameras
    required: if not, the absence of the device is no fault until it was detected once
    """

    worker: WorkerPlan
    required: bool = True
    title: str = ""
    processing: bool = False
    redundancy: bool = False
    cameras: int = 1
    when_unwatched: str = "send"
    sleep_after_s: float = 0.0

    @property
    def name(self) -> str:
        return self.worker.name

    @property
    def is_device(self) -> bool:
        """Files, test pictures and tones are no devices."""
        return self.worker.job.source not in _NO_DEVICES


class StreamObserver(Protocol):
    """Gets the state of each stream, by its name."""

    def worker(self, name: str, state: WorkerState, why: str) -> None:
        """Note the state of the stream's worker; `why` is for viewers."""

    def failed(self, name: str, why: str) -> None:
        """Note why the stream's worker ended; `why` is for operators."""

    def sending(self, name: str, text: str) -> None:
        """Note size, rate and bitrate of a video stream, as text."""


def is_required(table: Camera | Microphone) -> bool:
    """Return whether the configuration names a source or a device, so that its absence is a fault."""
    return table.source != "auto" or bool(table.device)


def plan_streams(config: Config, *, epoch_us: int | None = None, camera_url_file: str = "") -> list[StreamPlan]:
    """Return a plan for each source that is not off, in the order in which they are started.

    `epoch_us` is when files begin, on the monotonic clock, so that picture and sound stay in sync; by default now.
    `camera_url_file` has the URL of streams whose own table names none.
    """
    config = with_urls(config, camera_url_file)
    epoch_us = monotonic_us() if epoch_us is None else epoch_us
    identity = config.room.identity or config.room.display_name or derived_identity()
    title = config.room.display_name or identity
    cameras = [
        _camera_plan(config, each, title=title, identity=identity, epoch_us=epoch_us) for each in config.active_cameras
    ]
    return cameras + [_microphone_plan(config, each, epoch_us=epoch_us) for each in config.active_microphones]


def _camera_plan(
    config: Config, stream: NamedStream[Camera], *, title: str, identity: str, epoch_us: int
) -> StreamPlan:
    if stream.name != stream.kind:  # viewers see several pictures, and have to tell them apart
        title, identity = f"{title}, {stream.name}", f"{identity} {stream.name}"
    table = stream.table
    settings = asdict(table) | {"url": table.url.get_secret_value()}
    del settings["when_unwatched"], settings["sleep_after_s"]
    job = CameraJob(**settings, identity=identity, epoch_us=epoch_us)
    stall_s = max(config.watch.camera_stall_s, least_camera_stall_s(table))
    worker = WorkerPlan(name=stream.name, module="device.workers.camera", job=job, stall_s=stall_s)
    return StreamPlan(
        worker=worker,
        required=is_required(table),
        title=title,
        cameras=len(config.active_cameras),
        when_unwatched=table.when_unwatched,
        sleep_after_s=table.sleep_after_s,
    )


def _microphone_plan(config: Config, stream: NamedStream[Microphone], *, epoch_us: int) -> StreamPlan:
    table = stream.table
    settings = asdict(table) | {"url": table.url.get_secret_value()}
    del settings["processing"], settings["redundancy"]
    job = MicrophoneJob(**settings, epoch_us=epoch_us)
    stall_s = config.watch.microphone_stall_s
    worker = WorkerPlan(name=stream.name, module="device.workers.microphone", job=job, stall_s=stall_s)
    # Noise suppression would remove a steady tone, and a file is published as it was made.
    processing = table.processing and table.source in ("auto", "pyaudio")
    return StreamPlan(worker=worker, required=is_required(table), processing=processing, redundancy=table.redundancy)
