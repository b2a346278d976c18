"""The device's state for viewers and operators, from the states of room, workers and publications."""

from __future__ import annotations

import enum
import time
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

import device
from device.identity import board_model
from device.ipc.worker_state import WorkerState
from device.redaction import public_text, redacted
from device.telemetry.attributes import Attributes
from device.telemetry.room_state import PublishState, RoomState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.lifecycle.sd_notify import Notifier
    from device.telemetry.state_file import StateFile

log = structlog.get_logger()

_NOT_DELIVERING = frozenset({WorkerState.STALLED, WorkerState.ABSENT})
_NOTHING_TO_DO = frozenset(
    {WorkerState.LIVE, WorkerState.NOT_PRESENT, WorkerState.PRIVACY, WorkerState.PAUSED, WorkerState.ASLEEP}
)
# What viewers read whatever the state of the track.
_FIRST = _NOT_DELIVERING | {WorkerState.PRIVACY}
# Viewers do not receive such a track, whatever the state of its source.
_HIDDEN = frozenset({PublishState.MUTED, PublishState.FORBIDDEN, PublishState.FAILED})

_NOT_PUBLISHED = frozenset({PublishState.STARTING, PublishState.FORBIDDEN, PublishState.FAILED})


class DeviceState(enum.Enum):
    """The attribute `device.state`."""

    CONNECTING = "connecting"
    STARTING = "starting"  # in the room, but a source has not delivered yet
    LIVE = "live"
    MUTED = "muted"  # in the room, but the room has muted a track
    FORBIDDEN = "forbidden"  # in the room, but a track may not be published
    RECOVERING = "recovering"  # in the room, but a source delivers nothing, or its track could not be published


def first_attributes() -> Attributes:
    """Return the attributes of a device that has not joined yet."""
    return Attributes(version=device.__version__, model=board_model(), state=DeviceState.CONNECTING.value)


class Status:
    """Collects the states of the parts; the one place where `device.state` changes.

    `labels` has the name of a stream in attributes and in the state file, where that is another one than its own.
    """

    def __init__(
        self,
        attributes: Attributes,
        notifier: Notifier,
        state_file: StateFile,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._attributes = attributes
        self._notifier = notifier
        self._state_file = state_file
        self._labels = labels
        self._room = "connecting"
        self.room_state, self.room_reason, self.last_disconnect = RoomState.CONNECTING, "", ""
        self._clock = self._configuration = ""
        self._workers: dict[str, WorkerState] = {}
        self._publications: dict[str, PublishState] = {}
        self._whys: dict[str, str] = {}
        self._state = DeviceState.CONNECTING
        self._nothing_connected = ""

    @property
    def state(self) -> DeviceState:
        return self._state

    @property
    def live(self) -> bool:
        """Whether everything is published in the room."""
        return self._state is DeviceState.LIVE

    @property
    def works(self) -> bool:
        """Whether the device does in its room what it should: what the room has muted is no fault."""
        publications = set(self._publications.values())
        idle = set(self._workers.values()) <= _NOTHING_TO_DO
        return self.room_state is RoomState.LIVE and idle and not publications & _NOT_PUBLISHED

    @property
    def last_reload(self) -> str:
        """What became of the last reload; empty if there was none."""
        return redacted(self._configuration)

    def stream(self, name: str) -> tuple[WorkerState, str, PublishState]:
        """Return the state of a stream's worker, why, and how its track is in the room."""
        state = self._workers[name]
        publication = self._publications.get(name, PublishState.STARTING)
        return state, public_text(self._whys[name]), publication

    def configuration(self, text: str) -> None:
        """Note what became of the last reload; it may contain paths, and is not for viewers."""
        self._configuration = text
        self._update()

    def room(self, state: RoomState, why: str) -> None:
        if self.room_state is RoomState.LIVE and state is not RoomState.FORBIDDEN:
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
            self.last_disconnect = public_text(f"{since}: {why or 'for a new join'}")
        self.room_state, self.room_reason = state, public_text(why)
        self._room = _with_reason(state.value, why)
        self._update()

    def worker(self, name: str, state: WorkerState, why: str) -> None:
        self._workers[name] = state
        self._whys[name] = why
        self._update()

    def publication(self, name: str, state: PublishState) -> None:
        """Note how the track of this name is in the room."""
        self._publications[name] = state
        self._update()

    def clock(self, offset_s: float) -> None:
        """Note how far this clock is ahead of the server's, in seconds; 0: not notably."""
        self._clock = f"{abs(offset_s):.0f} s {'ahead of' if offset_s > 0 else 'behind'} the server" if offset_s else ""
        self._update()

    def sending(self, name: str, text: str) -> None:
        """Report size, rate and bitrate of a video stream as the attribute `device.video`.

        A stream that is not named `camera` has an attribute of its own, `device.video.NAME`.
        """
        self._attributes.set(**{"video" if name == "camera" else f"video.{name}": text})

    def failed(self, name: str, why: str) -> None:
        """Do nothing: the supervisor logs why a worker ended."""

    def _device_state(self) -> DeviceState:
        publications, workers = set(self._publications.values()), set(self._workers.values())
        by_precedence = (
            (self.room_state is RoomState.FORBIDDEN, DeviceState.FORBIDDEN),
            (self.room_state is not RoomState.LIVE, DeviceState.CONNECTING),
            (PublishState.FORBIDDEN in publications, DeviceState.FORBIDDEN),
            (workers & _NOT_DELIVERING or PublishState.FAILED in publications, DeviceState.RECOVERING),
            (PublishState.MUTED in publications, DeviceState.MUTED),
            (workers - _NOTHING_TO_DO or PublishState.STARTING in publications, DeviceState.STARTING),
        )
        return next((state for holds, state in by_precedence if holds), DeviceState.LIVE)

    def _text(self, name: str) -> str:
        """Return the state of one stream for viewers; what keeps it from them has precedence."""
        publication = self._publications.get(name, PublishState.PUBLISHED)
        if self._workers[name] in _FIRST or publication not in _HIDDEN:
            return _with_reason(self._workers[name].value, self._whys[name])
        return publication.value

    def _update(self) -> None:
        state = self._device_state()
        if state is not self._state:
            log.info("device.state", old=self._state.value, new=state.value)
            self._state = state
        texts = {self._labels.get(name, name): self._text(name) for name in self._workers}
        self._attributes.set(state=state.value, **texts)
        self._update_nothing_connected()
        more = {
            "clock": self._clock,
            "nothing is published:": self._nothing_connected,
            "configuration": redacted(self._configuration),
        }
        parts = {"room": self._room, **texts} | {name: text for name, text in more.items() if text}
        self._notifier.status("; ".join(f"{name} {text}" for name, text in parts.items()))
        self._state_file.write({"state": state.value, **parts})

    def _update_nothing_connected(self) -> None:
        """Note, and log once, that no stream has a device: the device is in the room all the same."""
        names = self._workers if set(self._workers.values()) == {WorkerState.NOT_PRESENT} else ()
        text = nothing_connected_text(tuple(self._labels.get(name, name) for name in names))
        if text and not self._nothing_connected:
            log.warning("device.nothing_connected", what=text, hint="what is connected is published from then on")
        self._nothing_connected = text


def nothing_connected_text(names: tuple[str, ...]) -> str:
    """Return that none of these streams has a device, as text; empty for no streams."""
    if not names:
        return ""
    return f"{' and '.join(f'no {name}' for name in names)} {'are' if len(names) > 1 else 'is'} connected"


def _with_reason(state: str, why: str) -> str:
    return public_text(f"{state}: {why}") if why else state
