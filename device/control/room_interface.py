"""The operations as RPC methods of the device in its room: `device.status`, `device.logs` and so on.

A call runs in a task of its own: the SDK cancels a handler when the caller's time is over or the room is left, and an
operation must not end half-way. What comes from the room is untrusted.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from livekit import rtc

from device.control.answers import TOPIC, Answer, answer_of
from device.control.call_limits import CallLimits
from device.control.caller import Caller, CallerKind
from device.control.decoding import decoded, names
from device.control.limits import CALL_S, MAX_PAYLOAD_BYTES
from device.control.operations import Rejoin
from device.control.permission import NOT_SEEN, Participant, Rule, refusal
from device.control.refusals import Code, RefusedError
from device.control.registry import name_of
from device.control.results import Done
from device.control.wire import arguments_of
from device.errors import CallError, DeviceError
from device.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from device.control.registry import Call

log = structlog.get_logger()

PREFIX = "device."
_MAX_IDENTITY = 128
_REJOINS = Done(text="the device leaves the room now, and joins it again")
_SEND_S = 60.0
_LOOKS, _LOOK_EVERY_S = 40, 0.1  # a call may be up to 2.6 s before the news of its caller (livekit 1.2.1)
_LAST_MOMENT_S = 0.2
_ANSWER_SENT_S = 0.3  # the SDK does not say when it has sent an answer; it takes 10 ms


class _Start(Protocol):
    def __call__(self, call: Coroutine[Any, Any, None], name: str) -> object: ...


class RoomInterface:
    """Takes calls from the participants of each Room that it serves. `rules` are those in effect."""

    def __init__(self, perform: Callable[[Call[Any], Caller], Awaitable[object]], *, start: _Start) -> None:
        self.rules: tuple[Rule, ...] = ()
        self._perform_call, self._start = perform, start
        self._limits = CallLimits()
        self._unanswered: set[asyncio.Future[str | RefusedError]] = set()

    def serve(self, room: rtc.Room) -> None:
        """Register the operations. All of them: a call that is not allowed is refused with a text, and logged."""
        for name in names():
            room.local_participant.register_rpc_method(f"{PREFIX}{name}", partial(self._called, room, name))
        log.debug("control.in_the_room", rules=len(self.rules))

    async def before_leaving(self, why: str) -> None:
        """Answer the calls that are under way, because no answer leaves the room after this device.

        A call that causes it, such as `set`, has its result by now and answers in the first moment.
        """
        if not self._unanswered:
            return
        _, late = await asyncio.wait(tuple(self._unanswered), timeout=_LAST_MOMENT_S)
        for each in late:
            if not each.done():
                each.set_result(RefusedError(Code.LEAVING, f"the device leaves the room and joins again: {why}"))
        await asyncio.sleep(_ANSWER_SENT_S)

    async def _called(self, room: rtc.Room, name: str, invocation: rtc.RpcInvocationData) -> str:
        identity = invocation.caller_identity
        answered: asyncio.Future[str | RefusedError] = asyncio.get_running_loop().create_future()
        try:
            call = await self._admitted(room, name, invocation)
        except RefusedError as refused:
            self._log_refusal(identity, name, refused)
            answered.set_result(refused)
        else:
            self._start(self._perform(room, identity, call, answered), f"call-{name}")
        self._unanswered.add(answered)
        try:
            answer = await asyncio.shield(answered)
        finally:
            self._unanswered.discard(answered)
        if isinstance(answer, RefusedError):
            raise rtc.RpcError(answer.code, str(answer))
        return answer

    async def _admitted(self, room: rtc.Room, name: str, invocation: rtc.RpcInvocationData) -> Call[Any]:
        """Return the call if it is to be carried out, and count it as under way. Raises RefusedError."""
        identity, now = invocation.caller_identity, time.monotonic()
        if self._limits.too_fast(identity, now):
            raise RefusedError(Code.TOO_MANY, "too many calls; wait a second")
        if why := await self._why_not(room, identity, name):
            raise RefusedError(Code.FORBIDDEN, why)
        if len(invocation.payload.encode()) > MAX_PAYLOAD_BYTES:
            raise RefusedError(Code.TOO_LARGE, f"the arguments have at most {MAX_PAYLOAD_BYTES >> 10} KiB")
        try:
            call = decoded(name, arguments_of(invocation.payload))
        except CallError as error:
            raise RefusedError(Code.MALFORMED, str(error)) from None
        if self._limits.all_too_fast(now) or not self._limits.begin(identity):
            raise RefusedError(Code.TOO_MANY, "the device is busy with other calls; wait a second")
        return call

    async def _why_not(self, room: rtc.Room, identity: str, name: str) -> str:
        """Return why a participant may not ask for an operation; empty if it may."""
        for _ in range(_LOOKS):
            if (why := refusal(self.rules, _participant(room, identity), name)) != NOT_SEEN:
                return why
            await asyncio.sleep(_LOOK_EVERY_S)
        return NOT_SEEN

    async def _perform(
        self, room: rtc.Room, identity: str, call: Call[Any], answered: asyncio.Future[str | RefusedError]
    ) -> None:
        """Carry out a call and answer it. Raises nothing: what a caller causes never affects the device."""
        name = name_of(call)
        try:
            if isinstance(call, Rejoin):
                answered.set_result(answer_of(_REJOINS).text)
                await asyncio.sleep(_ANSWER_SENT_S)
            answer = await self._result(identity, call)
            async with asyncio.timeout(_SEND_S):
                await _send(room, identity, answer, answered)
        except RefusedError as refused:
            if not answered.done():
                answered.set_result(refused)
        except (TimeoutError, rtc.StreamError) as error:
            log.warning(
                "control.stream_failed", caller=str(_caller(identity)), operation=name, why=type(error).__name__
            )
        except Exception as error:
            log.error("control.call", caller=str(_caller(identity)), operation=name, exc_info=error)  # noqa: TRY400 - one line
        finally:
            self._limits.end(identity)
            if not answered.done():
                answered.set_result(RefusedError(Code.FAILED, f"{name} failed; the log has the reason"))

    async def _result(self, identity: str, call: Call[Any]) -> Answer:
        """Return the answer. Raises RefusedError."""
        try:
            async with asyncio.timeout(CALL_S):
                return answer_of(await self._perform_call(call, _caller(identity)))
        except TimeoutError:
            refused = RefusedError(Code.TOO_SLOW, f"{name_of(call)} takes longer than {CALL_S:g} s")
            self._log_refusal(identity, name_of(call), refused)
            raise refused from None
        except DeviceError as error:  # which the performer has logged
            raise RefusedError(Code.REFUSED, redacted(str(error))) from None

    def _log_refusal(self, identity: str, operation: str, refused: RefusedError) -> None:
        """Log a refusal; of a flood only some, with the number of the others."""
        if (unlogged := self._limits.unlogged(time.monotonic())) is None:
            return
        more = {"unlogged": unlogged} if unlogged else {}
        log.warning("control.call", caller=str(_caller(identity)), operation=operation, refused=str(refused), **more)


async def _send(room: rtc.Room, identity: str, answer: Answer, answered: asyncio.Future[str | RefusedError]) -> None:
    """Answer. A stream is opened before, and sent after: the caller's time for an answer may be short."""
    if answered.done():
        return
    if (stream := answer.stream) is None:
        answered.set_result(answer.text)
        return
    writer = await room.local_participant.stream_bytes(
        stream.id,
        total_size=len(stream.data),
        mime_type=stream.type,
        stream_id=stream.id,
        destination_identities=[identity],
        topic=TOPIC,
    )
    if not answered.done():  # the device leaves the room
        answered.set_result(answer.text)
    await writer.write(stream.data)
    await writer.aclose()


def _participant(room: rtc.Room, identity: str) -> Participant:
    """Return what the server says about a participant."""
    who = room.remote_participants.get(identity)
    if who is None:
        return Participant(identity=identity, seen=False)
    # A participant that has just sent a call may send data: without that permission, the permissions are not known.
    if who.permissions.can_update_metadata or not who.permissions.can_publish_data:
        return Participant(identity=identity)
    return Participant(identity=identity, fixed_attributes=who.attributes)


def _caller(identity: str) -> Caller:
    return Caller(kind=CallerKind.REMOTE, name=identity[:_MAX_IDENTITY])
