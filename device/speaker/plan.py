"""The worker of the speaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device.ipc.messages import SpeakerJob
from device.ipc.worker_plan import WorkerPlan

if TYPE_CHECKING:
    from device.config.effective import Speaker

NAME: Final = "speaker"
_STALL_S = 2.0  # the worker reports each half a second


def plan_speaker(table: Speaker) -> WorkerPlan:
    """Return the plan of the worker for these settings."""
    job = SpeakerJob(source=table.source, device=table.device, volume_db=table.volume_db)
    return WorkerPlan(name=NAME, module="device.workers.speaker", job=job, stall_s=_STALL_S)
