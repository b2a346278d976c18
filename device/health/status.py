"""One answer to "how is it?", made of the room's and the workers' states, for viewers and operators."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import structlog

from device.room.presence import PresenceState
from device.workers.supervisor import WorkerState

if TYPE_CHECKING:
    from device.room.attributes import Attributes

log = structlog.get_logger()


class DeviceState(enum.Enum):
    """The attribute `device.state`."""

    CONNECTING = "connecting"
    LIVE = "live"
    RECOVERING = "recovering"  # in the room, but a source is away


class Status:
    """Collects the states of the parts; the one place where `device.state` changes."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._room = PresenceState.WAITING
        self._workers: dict[str, WorkerState] = {}
        self._state = DeviceState.CONNECTING

    def expect(self, name: str) -> None:
        """Count a worker from its beginning: a device is live when all of them are."""
        self.worker(name, WorkerState.STARTING, "")

    def room(self, state: PresenceState, _why: str) -> None:
        self._room = state
        self._update()

    def worker(self, name: str, state: WorkerState, why: str) -> None:
        self._workers[name] = state
        self._attributes.set(**{name: f"{state.value}: {why}"[:200] if why else state.value})
        self._update()

    def _update(self) -> None:
        if self._room is not PresenceState.LIVE:
            state = DeviceState.CONNECTING
        elif all(worker is WorkerState.LIVE for worker in self._workers.values()):
            state = DeviceState.LIVE
        else:
            state = DeviceState.RECOVERING
        if state is not self._state:
            log.info("device.state", old=self._state.value, new=state.value)
            self._state = state
        self._attributes.set(state=state.value)
