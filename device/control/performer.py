"""Carries out operations on the running device, the same for all interfaces."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import structlog

import device
from device import board
from device.control.configured_commands import ConfiguredCommands
from device.control.limits import LEVELS
from device.control.operations import (
    GetLogs,
    GetStatus,
    Rejoin,
    Reload,
    RequestKeyFrame,
    RestartStream,
    RunCommand,
    name_of,
)
from device.control.results import BoardStatus, DeviceStatus, Done, LogLines, RoomStatus, StreamStatus
from device.errors import CallError, DeviceError
from device.identity import board_model
from device.redaction import redacted
from device.tracks.video import VideoTrack

if TYPE_CHECKING:
    from device.clock import ServerClock
    from device.control.operations import Call, ResultT
    from device.log_memory import LogMemory
    from device.reload.reloader import Reloader
    from device.reload.running import RunningDevice
    from device.streams.stream import Stream
    from device.telemetry.bitrates import Bitrates
    from device.telemetry.status import Status

log = structlog.get_logger()

_WHY = "an operator asked for it"


class Performer:
    """Carries out calls of callers who are allowed to make them; each leaves a log line with who, what and result."""

    def __init__(
        self,
        running: RunningDevice,
        *,
        reloader: Reloader,
        status: Status,
        bitrates: Bitrates,
        clock: ServerClock,
        memory: LogMemory,
        started_at: float,
    ) -> None:
        self._running, self._reloader = running, reloader
        self._status, self._bitrates, self._clock = status, bitrates, clock
        self._memory, self._started_at = memory, started_at
        self._commands = ConfiguredCommands()

    async def perform(self, call: Call[ResultT], *, caller: str) -> ResultT:
        """Return the result. Raises CallError, whose text is for the caller."""
        name = name_of(call)
        try:
            result: Any = await self._perform(call)
        except DeviceError as error:
            log.warning("control.call", caller=caller, operation=name, refused=redacted(str(error)))
            raise
        except Exception as error:
            log.error("control.call", caller=caller, operation=name, exc_info=error)  # noqa: TRY400 - one line, redacted
            raise CallError(f"{name} failed; the log has the reason") from error
        reads = isinstance(call, GetStatus | GetLogs)  # asked all the time
        (log.debug if reads else log.info)("control.call", caller=caller, operation=name, result=str(result)[:200])
        return result  # type: ignore[no-any-return]

    async def _perform(self, call: Call[Any]) -> object:  # noqa: PLR0911 - one for each operation
        match call:
            case GetStatus():
                return self._device_status()
            case GetLogs():
                levels = frozenset(LEVELS[LEVELS.index(call.level) :])
                return LogLines(records=self._memory.newest(since=call.since, levels=levels, lines=call.lines))
            case RequestKeyFrame():
                return self._request_key_frame(call.stream)
            case RestartStream():
                self._stream(call.stream).supervisor.restart(_WHY)
                return Done(text=f"{call.stream} is restarted")
            case RunCommand():
                commands = self._running.settings.config.commands
                return await self._commands.run(call.name, call.arguments, commands)
            case Rejoin():
                await self._running.rejoin(_WHY)
                return Done(text="the device has left the room, and joins it again")
            case Reload():
                self._reloader.request()
                return Done(text="the configuration is loaded again; status has the result")
        raise CallError(f"{name_of(call)} cannot be carried out")  # a test has every operation

    def _stream(self, name: str) -> Stream:
        streams = self._running.streams
        if name not in streams:
            raise CallError(f"there is no stream of this name; there are: {', '.join(sorted(streams)) or 'none'}")
        return streams[name]

    def _request_key_frame(self, name: str) -> Done:
        track = self._stream(name).track
        if not isinstance(track, VideoTrack):
            raise CallError(f"{name} is no camera")
        track.request_key_frame()
        return Done(text=f"{name} sends a key frame")

    def _device_status(self) -> DeviceStatus:
        settings = self._running.settings
        wanted = settings.token_source.wanted
        return DeviceStatus(
            state=self._status.state.value,
            identity=wanted.own_identity,
            version=device.__version__,
            model=board_model(),
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._started_at, 1),
            clock_offset_s=round(self._clock.offset_s, 1),
            config_file=str(settings.path),
            configuration=self._status.last_reload,
            room=RoomStatus(
                state=self._status.room_state.value,
                reason=self._status.room_reason,
                url=redacted(settings.config.room.url[0]),
                name=wanted.room,
                last_disconnect=self._status.last_disconnect,
            ),
            streams={name: self._stream_status(name, each) for name, each in self._running.streams.items()},
            board=BoardStatus(temperature_celsius=board.temperature_celsius(), throttled=board.throttled()),
        )

    def _stream_status(self, name: str, stream: Stream) -> StreamStatus:
        state, reason, publication = self._status.stream(name)
        sent = stream.track.sent if isinstance(stream.track, VideoTrack) else None
        return StreamStatus(
            kind=stream.track.kind,
            state=state.value,
            reason=reason,
            publication=publication.value,
            width=sent.width if sent else 0,
            height=sent.height if sent else 0,
            fps=round(sent.fps, 1) if sent else 0.0,
            bitrate_bps=self._bitrates.of(name),
            dropped=stream.track.dropped,
        )
