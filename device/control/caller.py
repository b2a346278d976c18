"""Who makes a call: each interface says so, and an operation may depend on it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from device.printable import printable


class CallerKind(enum.Enum):
    """How a caller reaches the device."""

    LOCAL = "local"  # a process of this box, by the control socket
    REMOTE = "remote"  # a participant of the room


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A caller who may make the call. `name` is the process, or the participant's identity."""

    kind: CallerKind
    name: str

    def __str__(self) -> str:
        """Return the caller for the log. No participant can have the text of a process."""
        return self.name if self.kind is CallerKind.LOCAL else f"participant {printable(self.name)}"
