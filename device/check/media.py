"""The last step of `check`: a temporary participant decodes three seconds of picture and sound."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import secrets
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from livekit import rtc

from device.check.decoding import SAMPLE_RATE, Decoded, decode, subscribe
from device.check.media_path import report_blocked, report_path
from device.check.report import report_failures
from device.errors import CredentialError, DeviceError, JoinError, leaves
from device.ipc.detected import Detected
from device.ipc.worker_state import WorkerState
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.sd_notify import Notifier
from device.network.sdk import sdk_connects_to
from device.privacy import Privacy
from device.room.connect_errors import MEDIA_BLOCKED, connect_error_text
from device.room.options import room_options
from device.room.session import Session
from device.settings import credentials_directory, find_camera_url_file
from device.streams.capture import capturing
from device.streams.plan import plan_streams
from device.telemetry.attributes import Attributes
from device.telemetry.state_file import StateFile
from device.telemetry.status import Status
from device.tokens.grants import read_grants
from device.tokens.join_token import JoinToken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from device.check.report import Report
    from device.check.signal import Offered
    from device.config.effective import Config
    from device.config.streams import AnyStream
    from device.network.probe import ProbeResult
    from device.network.resolver import Resolver
    from device.tokens.minting import ApiKey

TTL = datetime.timedelta(minutes=2)  # the check takes half a minute
_MEASURE_S = 3.0
_FIRST_S = 15.0
_LOOK_S = 0.5
_NOTHING_COMES = frozenset({WorkerState.NOT_PRESENT.value, WorkerState.PRIVACY.value})


class _CheckedStatus(Status):
    """Keeps why workers ended, for operators, by the label of the stream."""

    def __init__(self, attributes: Attributes, labels: Mapping[str, str], reasons: dict[str, str]) -> None:
        super().__init__(attributes, Notifier(), StateFile(None), labels)
        self._own_labels, self._reasons = labels, reasons

    def failed(self, name: str, why: str) -> None:
        self._reasons[self._own_labels[name]] = why


async def check(
    report: Report, config: Config, api_key: ApiKey, at: ProbeResult, resolver: Resolver, *, offered: Offered | None
) -> None:
    """Decode the running device's tracks; if it is not in the room, publish under a temporary identity.

    `offered`: the ways for media that the server has named.
    """
    async with sdk_connects_to(at, resolver):
        await _check(report, config, api_key, at, resolver, offered)


async def _check(  # noqa: PLR0917 - those of `check`
    report: Report, config: Config, api_key: ApiKey, at: ProbeResult, resolver: Resolver, offered: Offered | None
) -> None:
    room = rtc.Room()
    decoders: list[asyncio.Task[None]] = []
    decoded = {each.name: Decoded() for each in config.streams}
    subscribed_identity = ""

    def on_track(track: rtc.RemoteTrack, _publication: object, who: rtc.RemoteParticipant) -> None:
        if who.identity == subscribed_identity and track.name in decoded:
            decoders.append(asyncio.create_task(decode(track, decoded[track.name])))

    room.on("track_subscribed", on_track)
    identity = api_key.wanted.own_identity
    try:
        # The token allows only to subscribe, without sending data, and hides this participant.
        token = api_key.viewer_token(at=at, ttl=TTL, data=False, hidden=True)
        await room.connect(at.url, token, room_options(relay_only=config.network.relay == "always"))
    except rtc.ConnectError as error:
        why = await _refusal(error, api_key, at, resolver)
        report.bad("room", f"{config.room.name} cannot be joined: {why}")
        if why == MEDIA_BLOCKED:
            report_blocked(report, offered, relay_only=config.network.relay == "always")
        return
    try:
        running = identity in room.remote_participants
        subscribed_identity = identity if running else f"{identity}-check-{secrets.token_hex(2)}"
        async with contextlib.AsyncExitStack() as stack:
            ours = None
            if not running:
                ours = await stack.enter_async_context(_publishing(config, api_key, subscribed_identity, at))
            what = f"the running device {identity}" if running else "a throwaway publication"
            report.good("room", f"joined {config.room.name}; looking at {what}")
            subscribing = asyncio.create_task(subscribe(room, subscribed_identity))
            try:
                await _measure(report, config, decoded, ours or partial(_attributes, room, identity))
            finally:
                subscribing.cancel()
            await report_path(report, room, offered)
    except (BaseExceptionGroup, DeviceError) as error:
        full = await _full(api_key, at, resolver) if any(isinstance(each, JoinError) for each in leaves(error)) else ""
        if full:
            report.bad("publish", f"{full}, including the participant of this check")
        else:
            report_failures(report, "publish", error)
    finally:
        for task in decoders:
            task.cancel()
        await asyncio.gather(*decoders, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await room.disconnect()


async def _refusal(error: rtc.ConnectError, api_key: ApiKey, at: ProbeResult, resolver: Resolver) -> str:
    """Return why a join was refused."""
    return await _full(api_key, at, resolver) or connect_error_text(error.message)


async def _full(api_key: ApiKey, at: ProbeResult, resolver: Resolver) -> str:
    """Return a text if the room is full: the server then answers a join with HTTP 500, like other errors."""
    with contextlib.suppress(CredentialError):
        present, maximum = await api_key.occupancy(at, resolver)
        if 0 < maximum <= present:
            return f"the room is full ({present} of {maximum} participants)"
    return ""


@asynccontextmanager
async def _publishing(
    config: Config, api_key: ApiKey, identity: str, at: ProbeResult
) -> AsyncIterator[Callable[[], Mapping[str, str]]]:
    """Publish; yield a function that returns the attributes, with reasons for operators instead of viewers."""
    token = api_key.publisher_token(at=at, identity=identity, ttl=TTL)
    join_token = JoinToken(url=at.url, token=token, grants=read_grants(token))
    attributes = Attributes()
    reasons: dict[str, str] = {}
    status = _CheckedStatus(attributes, {each.name: each.label for each in config.streams}, reasons)
    async with (
        capturing(
            plan_streams(config, camera_url_file=find_camera_url_file(credentials_directory())),
            observer=status,
            deadlines=Deadlines(),
            detected=Detected.of_service(keeps=False),
            privacy=Privacy.of_service(),
        ) as streams,
        asyncio.TaskGroup() as tasks,
    ):
        session = Session(
            join_token,
            tracks=[each.track for each in streams],
            attributes=attributes,
            relay_only=config.network.relay == "always",
        )
        session_run = tasks.create_task(session.run())
        live = tasks.create_task(session.live.wait())
        await asyncio.wait({session_run, live}, return_when=asyncio.FIRST_COMPLETED)
        if session_run.done() and session_run.exception() is None:  # an error of it is raised by the group
            raise JoinError(f"the session ended before it had published: {session_run.result().reason.text}")
        try:
            yield lambda: attributes.snapshot() | _with_reasons(attributes.snapshot(), reasons)
        finally:
            live.cancel()
            session_run.cancel()


def _with_reasons(states: Mapping[str, str], reasons: Mapping[str, str]) -> dict[str, str]:
    return {
        f"device.{source}": f"{state.partition(':')[0]}: {why}"
        for source, why in reasons.items()
        if _is_replaced(state := states.get(f"device.{source}", ""))
    }


def _attributes(room: rtc.Room, identity: str) -> Mapping[str, str]:
    participant = room.remote_participants.get(identity)
    return participant.attributes if participant else {}


def _is_replaced(state: str) -> bool:
    """Return whether a source's attribute means that a slate or silence replaces it."""
    return state.startswith((WorkerState.STALLED.value, WorkerState.ABSENT.value))


async def _measure(
    report: Report, config: Config, decoded: Mapping[str, Decoded], attributes: Callable[[], Mapping[str, str]]
) -> None:
    async def arrived(stream: AnyStream) -> None:
        """Wait until something arrives of this stream, or it is known that nothing will."""
        arrival = decoded[stream.name].arrived
        while not arrival.is_set() and attributes().get(f"device.{stream.label}", "") not in _NOTHING_COMES:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):  # the attribute may change meanwhile
                    await arrival.wait()

    streams = config.streams
    waiting = [asyncio.create_task(arrived(each)) for each in streams]
    await asyncio.wait(waiting, timeout=_FIRST_S)
    for task in waiting:
        task.cancel()
    before = {each.name: decoded[each.name].count for each in streams}
    await asyncio.sleep(_MEASURE_S)
    for kind, row in (("camera", "picture"), ("microphone", "sound")):
        if not any(each.kind == kind for each in streams):
            report.skipped(row, f"{kind}.source is off")
    for each in streams:
        found = decoded[each.name]
        count = found.count - before[each.name]
        _report_stream(report, each, state=attributes().get(f"device.{each.label}", ""), count=count, decoded=found)


def _report_stream(report: Report, stream: AnyStream, *, state: str, count: int, decoded: Decoded) -> None:
    """Report one stream: the state of its source, and what was decoded: pictures or samples."""
    if stream.kind == "camera":
        row, instead = "picture", "viewers see a still picture in its place"
        text = f"{decoded.width}x{decoded.height}, {count / _MEASURE_S:.1f} frames/s decoded"
    else:
        row, instead = "sound", "viewers hear silence in its place"
        text = f"{count / SAMPLE_RATE:.1f} s of sound decoded in {_MEASURE_S:.0f} s"
    row = row if stream.name == stream.kind else f"{row}.{stream.name}"
    if state == WorkerState.NOT_PRESENT.value:
        report.skipped(row, f"no {stream.kind} is connected, and none was before")
    elif state == WorkerState.PRIVACY.value:
        report.skipped(row, "privacy is on: nothing is captured until `livekit-device privacy off`")
    elif _is_replaced(state):
        report.bad(row, f"the {stream.kind} is {state}", hint=instead)
    elif count:
        report.good(row, text)
    else:
        report.bad(
            row,
            f"none decoded within {_FIRST_S:.0f} s",
            hint=f"the device's state is: {state or 'unknown'}; look at its journal",
        )
