"""How a worker is."""

from __future__ import annotations

import enum
from typing import Final

from device.errors import NotPresentError, SourceAbsentError

ABSENT_ERRORS: Final = frozenset({SourceAbsentError.__name__, NotPresentError.__name__})
"""The errors of a worker that say that there is no device."""


class WorkerState(enum.Enum):
    """The values are what viewers read in the attributes."""

    STARTING = "starting"
    LIVE = "live"
    STALLED = "stalled"
    ABSENT = "absent"
    NOT_PRESENT = "not present"  # never detected on this box, and not required: no fault
