"""One answer to "how is it?", made of the room's and the workers' states, for viewers and operators."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import structlog

from device.room.state import PresenceState
from device.workers.supervisor import WorkerState

if TYPE_CHECKING:
    from device.health.notify import Notifier
    from device.health.state_file import StateFile
    from device.room.attributes import Attributes

log = structlog.get_logger()

_MAX_TEXT = 200
_AWAY = frozenset({WorkerState.STALLED, WorkerState.ABSENT})


class DeviceState(enum.Enum):
    """The attribute `device.state`."""

    CONNECTING = "connecting"
    STARTING = "starting"  # in the room, but a source has not begun yet
    LIVE = "live"
    FORBIDDEN = "forbidden"  # in the room, but the right to publish was taken away
    RECOVERING = "recovering"  # in the room, but a source is away


class Status:
    """Collects the states of the parts; the one place where `device.state` changes."""

    def __init__(self, attributes: Attributes, notifier: Notifier, state_file: StateFile) -> None:
        self._attributes = attributes
        self._notifier = notifier
        self._state_file = state_file
        self._room = "connecting"
        self._room_state = PresenceState.CONNECTING
        self._workers: dict[str, WorkerState] = {}
        self._texts: dict[str, str] = {}
        self._state = DeviceState.CONNECTING

    def expect(self, name: str) -> None:
        """Count a worker from its beginning: a device is live when all of them are."""
        self.worker(name, WorkerState.STARTING, "")

    def room(self, state: PresenceState, why: str) -> None:
        self._room_state = state
        self._room = _with_reason(state.value, why)
        self._update()

    def worker(self, name: str, state: WorkerState, why: str) -> None:
        self._workers[name] = state
        self._texts[name] = _with_reason(state.value, why)
        self._update()

    def video(self, text: str) -> None:
        """Tell viewers what is sent of the picture; the rest is told as it was."""
        self._attributes.set(video=text)

    def _update(self) -> None:
        if self._room_state is PresenceState.FORBIDDEN:
            state = DeviceState.FORBIDDEN
        elif self._room_state is not PresenceState.LIVE:
            state = DeviceState.CONNECTING
        elif all(worker is WorkerState.LIVE for worker in self._workers.values()):
            state = DeviceState.LIVE
        elif not _AWAY.intersection(self._workers.values()):
            state = DeviceState.STARTING
        else:
            state = DeviceState.RECOVERING
        if state is not self._state:
            log.info("device.state", old=self._state.value, new=state.value)
            self._state = state
        self._attributes.set(state=state.value, **self._texts)
        parts = {"room": self._room, **self._texts}
        self._notifier.status("; ".join(f"{name} {text}" for name, text in parts.items()))
        self._state_file.write({"state": state.value, **parts})


def _with_reason(state: str, why: str) -> str:
    return f"{state}: {why}"[:_MAX_TEXT] if why else state
