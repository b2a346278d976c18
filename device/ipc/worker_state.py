"""How a worker is, and which failures mean which state."""

from __future__ import annotations

import enum
from typing import Final

from device.errors import NotPresentError, SourceAbsentError, SourceError

ABSENT_ERRORS: Final = frozenset({SourceAbsentError.__name__, NotPresentError.__name__})
"""The errors of a worker that say that there is no device."""
SOURCES_FAILURES: Final = ABSENT_ERRORS | {SourceError.__name__}


class WorkerState(enum.Enum):
    """The values are what viewers read in the attributes."""

    STARTING = "starting"
    LIVE = "live"
    STALLED = "stalled"
    ABSENT = "absent"
    NOT_PRESENT = "not present"  # never detected on this box, and not required: no fault
    PRIVACY = "privacy"  # none runs, because an operator wants privacy: no fault
    PAUSED = "paused"  # as shown: its source delivers, and nothing is sent, because nobody watches
    ASLEEP = "asleep"  # none runs, because nobody has watched for a while: no fault


def failed_state(failure: str, *, known: bool) -> WorkerState:
    """Return the state after a worker has ended by an error of this type, empty if it reported none.

    `known`: the absence of its device is a fault.
    """
    if failure == NotPresentError.__name__ and not known:
        return WorkerState.NOT_PRESENT
    return WorkerState.ABSENT if failure in ABSENT_ERRORS else WorkerState.STALLED
