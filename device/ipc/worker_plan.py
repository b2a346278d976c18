"""What a worker runs, and how long each part of that may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.ipc.messages import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """What to run, and when to give up on one run of it. Times in seconds."""

    name: str
    module: str
    job: Job
    stall_s: float
    startup_s: float = 30.0  # to the worker's hello: a small board imports for seconds
    first_s: float = 10.0  # from there to the first unit or block
    backoff_base_s: float = 0.25
    backoff_cap_s: float = 15.0
    backoff_reset_s: float = 30.0
