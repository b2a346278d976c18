"""Carries out operations on the running device, the same for all interfaces."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

import device
from device import board
from device.control.caller import CallerKind
from device.control.configuration import Configuration
from device.control.configured_commands import ConfiguredCommands
from device.control.decoding import as_request
from device.control.limits import LEVELS
from device.control.operations import (
    GetConfig,
    GetLogs,
    GetSnapshot,
    GetStatus,
    PlaySound,
    Rejoin,
    Reload,
    RequestKeyFrame,
    ResetValues,
    RestartStream,
    RunCommand,
    SetPrivacy,
    SetValues,
)
from device.control.privacy import set_privacy
from device.control.registry import name_of
from device.control.results import (
    BoardStatus,
    DeviceStatus,
    Done,
    LogLines,
    Picture,
    PrivacyState,
    RoomStatus,
    SpeakerStatus,
    StreamStatus,
)
from device.control.snapshot import snapshot, time_text
from device.control.sounds import ConfiguredSounds
from device.errors import CallError, DeviceError
from device.identity import board_model
from device.ipc.worker_state import WorkerState
from device.redaction import redacted
from device.tracks.video import VideoTrack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from device.clock import ServerClock
    from device.control.caller import Caller
    from device.control.registry import Call, ResultT
    from device.log_memory import LogMemory
    from device.privacy import KeptPrivacy
    from device.reload.reloader import Reloader
    from device.reload.running import RunningDevice
    from device.speaker.speaker import Speaker
    from device.streams.stream import Stream
    from device.telemetry.bitrates import Bitrates
    from device.telemetry.status import Status

log = structlog.get_logger()

_MAX_SHOWN = 200
Handler: TypeAlias = "Callable[[Any, Caller], Awaitable[object]]"

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
        privacy: KeptPrivacy,
        started_at: float,
        speaker: Speaker | None = None,
    ) -> None:
        self._running, self._reloader = running, reloader
        self._status, self._bitrates, self._clock = status, bitrates, clock
        self._memory, self._privacy, self._started_at = memory, privacy, started_at
        self._speaker = speaker
        configuration = Configuration(running, reloader)
        commands = ConfiguredCommands(lambda: running.settings.config.commands)
        sounds = ConfiguredSounds(lambda: running.settings.config.sounds, lambda: speaker)
        self._handlers: dict[type[Call[Any]], Handler] = {  # a test has every operation
            GetStatus: self._get_status,
            GetLogs: self._get_logs,
            RequestKeyFrame: self._request_key_frame,
            RestartStream: self._restart_stream,
            GetSnapshot: self._get_snapshot,
            SetPrivacy: self._set_privacy,
            RunCommand: commands.run,
            PlaySound: sounds.play,
            Rejoin: self._rejoin,
            Reload: self._reload,
            GetConfig: configuration.get,
            SetValues: configuration.set,
            ResetValues: configuration.reset,
        }

    async def perform(self, call: Call[ResultT], *, caller: Caller) -> ResultT:
        """Return the result. Raises CallError, whose text is for the caller."""
        name = name_of(call)
        said = {"arguments": str(asked)[:_MAX_SHOWN]} if (asked := as_request(call)["arguments"]) else {}
        try:
            result: Any = await self._handlers[type(call)](call, caller)
        except DeviceError as error:
            log.warning("control.call", caller=str(caller), operation=name, refused=redacted(str(error)), **said)
            raise
        except Exception as error:
            log.error("control.call", caller=str(caller), operation=name, exc_info=error, **said)  # noqa: TRY400 - one line
            raise CallError(f"{name} failed; the log has the reason") from error
        reads = isinstance(call, GetStatus | GetLogs | GetConfig)  # asked all the time
        (log.debug if reads else log.info)(
            "control.call", caller=str(caller), operation=name, result=str(result)[:_MAX_SHOWN], **said
        )
        return result  # type: ignore[no-any-return]

    async def _get_status(self, _call: GetStatus, _caller: Caller) -> DeviceStatus:
        return self._device_status()

    async def _get_logs(self, call: GetLogs, _caller: Caller) -> LogLines:
        levels = frozenset(LEVELS[LEVELS.index(call.level) :])
        return LogLines(records=self._memory.newest(since=call.since, levels=levels, lines=call.lines))

    async def _restart_stream(self, call: RestartStream, _caller: Caller) -> Done:
        supervisor = self._stream(call.stream).supervisor
        if supervisor.held.active:
            asleep = supervisor.held.state is WorkerState.ASLEEP
            why = f"{call.stream} is asleep, because nobody watches" if asleep else f"privacy is on for {call.stream}"
            raise CallError(f"{why}: it has no worker")
        supervisor.restart(_WHY)
        return Done(text=f"{call.stream} is restarted")

    async def _get_snapshot(self, call: GetSnapshot, _caller: Caller) -> Picture:
        return await snapshot(call, self._running.streams)

    async def _set_privacy(self, call: SetPrivacy, caller: Caller) -> PrivacyState:
        remote = caller.kind is not CallerKind.LOCAL
        return await set_privacy(call, self._running.streams, self._privacy, remote=remote)

    async def _rejoin(self, _call: Rejoin, _caller: Caller) -> Done:
        await self._running.rejoin(_WHY)
        return Done(text="the device has left the room, and joins it again")

    async def _reload(self, _call: Reload, _caller: Caller) -> Done:
        self._reloader.request()
        return Done(text="the configuration is loaded again; status has the result")

    def _stream(self, name: str) -> Stream:
        streams = self._running.streams
        if name not in streams:
            raise CallError(f"there is no stream of this name; there are: {', '.join(sorted(streams)) or 'none'}")
        return streams[name]

    async def _request_key_frame(self, call: RequestKeyFrame, _caller: Caller) -> Done:
        track = self._stream(call.stream).track
        if not isinstance(track, VideoTrack):
            raise CallError(f"{call.stream} is no camera")
        track.request_key_frame()
        return Done(text=f"{call.stream} sends a key frame")

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
            speaker=self._speaker_status(),
        )

    def _speaker_status(self) -> SpeakerStatus | None:
        if (speaker := self._speaker) is None:
            return None
        return SpeakerStatus(state=speaker.worker_state.value, reason=speaker.why, talkers=speaker.talkers)

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
            drops={cause: count for cause, count in stream.drops.items() if count},
            watched=stream.watching.watched if stream.watching else None,
            watched_since=time_text(int(stream.watching.since * 1e6)) if stream.watching else "",
        )
