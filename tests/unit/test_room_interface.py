"""Calls from the room in virtual time: who gets an answer, and what a caller can do to the device. No server."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import structlog
from livekit import rtc

from device.control import call_limits
from device.control.answers import MAX_ANSWER_BYTES
from device.control.caller import Caller, CallerKind
from device.control.decoding import names
from device.control.limits import CALL_S, MAX_PAYLOAD_BYTES
from device.control.permission import NOT_SEEN
from device.control.refusals import Code
from device.control.registry import name_of
from device.control.remote import RemoteControl
from device.control.results import Done
from device.errors import CallError
from tests.unit.virtual_time import run_virtually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

ALLOW = [{"identity": "ops-*", "operations": list(names()), "attributes": {}}]


IDENTITIES = ("ops-1", "evil")


def participant(**attributes: str) -> Any:
    permissions = SimpleNamespace(can_publish_data=True, can_update_metadata=False)
    return SimpleNamespace(permissions=permissions, attributes=attributes)


@dataclass(slots=True)
class Writer:
    room: Room
    data: bytes = b""

    async def write(self, data: bytes) -> None:
        if self.room.broken:
            raise rtc.StreamError("the connection is gone")
        self.data += data

    async def aclose(self) -> None:
        self.room.streams.append(self.data)


@dataclass(slots=True)
class Room:
    """A Room's local participant, and the SDK's way to call a handler."""

    remote_participants: dict[str, Any] = field(default_factory=lambda: {each: participant() for each in IDENTITIES})
    methods: dict[str, Callable[[Any], Awaitable[str]]] = field(default_factory=dict)
    streams: list[bytes] = field(default_factory=list)
    headers: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False

    @property
    def local_participant(self) -> Room:
        return self

    def register_rpc_method(self, name: str, handler: Callable[[Any], Awaitable[str]]) -> None:
        self.methods[name] = handler

    async def stream_bytes(self, name: str, **options: Any) -> Writer:
        self.headers.append({"name": name, **options})
        return Writer(self)

    async def call(self, method: str, payload: str = "", *, caller: str = "ops-1") -> Any:
        answer = await self.methods[method](rtc.RpcInvocationData("1", caller, payload, 10.0, method))
        return json.loads(answer)

    async def refused(self, method: str, payload: str = "", *, caller: str = "ops-1") -> tuple[int, str]:
        with pytest.raises(rtc.RpcError) as caught:
            await self.call(method, payload, caller=caller)
        return caught.value.code, caught.value.message


class Performing:
    """Performs what the test says."""

    def __init__(self) -> None:
        self.performed: list[tuple[str, str]] = []
        self.remote: Any = None
        self.leaving: asyncio.Task[None] | None = None
        self.result: Callable[[], Awaitable[object]] = self.done

    async def done(self) -> object:
        return Done(text="done")

    async def perform(self, call: Any, *, caller: Caller) -> object:
        result = await self.result()
        assert caller.kind is CallerKind.REMOTE
        self.performed.append((name_of(call), str(caller)))
        return result


def served(scenario: Callable[[Room, Performing], Coroutine[Any, Any, None]]) -> list[Any]:
    """Run a scenario with one Room; return the log."""

    async def main() -> None:
        room, performing = Room(), Performing()
        async with asyncio.TaskGroup() as tasks:
            performing.remote = remote = RemoteControl(tasks)
            remote.performer = lambda: cast("Any", performing)
            serve = remote.of(ALLOW)
            assert serve
            serve(cast("Any", room))
            await scenario(room, performing)
            remote.cancel()

    with structlog.testing.capture_logs() as logs:
        run_virtually(main)
    return logs


def test_without_rules_nothing_is_made() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            assert RemoteControl(tasks).of([]) is None

    asyncio.run(main())


def test_each_operation_is_a_method() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        assert set(room.methods) == {f"device.{each}" for each in names()}
        assert await room.call("device.reload") == {"text": "done"}
        assert await room.call("device.restart", ' {"stream": "camera"} ') == {"text": "done"}
        assert performing.performed == [("reload", "participant ops-1"), ("restart", "participant ops-1")]

    served(scenario)


def test_what_is_not_a_call_is_refused_with_a_code_and_a_text() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        assert await room.refused("device.status", "{") == (Code.MALFORMED, "the payload is not JSON in UTF-8")
        assert (await room.refused("device.status", "[" * 9000))[0] == Code.MALFORMED
        assert (await room.refused("device.status", '{"a": NaN}'))[0] == Code.MALFORMED
        assert (await room.refused("device.status", "[]"))[1] == "the arguments of status must be an object"
        assert (await room.refused("device.restart", "{}"))[1] == "restart needs the argument stream"
        large = json.dumps({"stream": "ü" * (MAX_PAYLOAD_BYTES // 2)}, ensure_ascii=False)
        assert (await room.refused("device.restart", large))[0] == Code.TOO_LARGE
        code, text = await room.refused("device.status", json.dumps({"ü" * 1000: 1}))
        assert (code, len(text.encode()) <= 256) == (Code.MALFORMED, True)
        assert (await room.refused("device.status", caller="viewer\n"))[0] == Code.FORBIDDEN
        assert performing.performed == []

    logs = served(scenario)
    assert {each["event"] for each in logs} == {"control.call", "control.in_the_room"}
    assert logs[-1]["caller"] == "participant viewer?"


def test_a_caller_whose_news_is_late_is_waited_for() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        call = asyncio.create_task(room.call("device.status", caller="ops-2"))
        await asyncio.sleep(2.6)
        assert not call.done()
        room.remote_participants["ops-2"] = participant()
        assert await call == {"text": "done"}
        assert await room.refused("device.status", caller="ops-3") == (Code.FORBIDDEN, NOT_SEEN)
        assert len(performing.performed) == 1

    served(scenario)


def test_an_operation_that_refuses_or_fails_is_an_error_of_its_own() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        async def refuses() -> object:
            raise CallError("no such stream; token=abcdef123456")

        async def fails() -> object:
            raise ZeroDivisionError

        performing.result = refuses
        assert await room.refused("device.reload") == (
            Code.REFUSED,
            "no such stream; token=[redacted]",
        )
        performing.result = fails
        assert await room.refused("device.status") == (Code.FAILED, "status failed; the log has the reason")

    logs = served(scenario)
    assert [each["log_level"] for each in logs if "exc_info" in each] == ["error"]


def test_a_large_answer_is_a_stream_to_the_caller_alone() -> None:
    text = "ü" * MAX_ANSWER_BYTES

    async def scenario(room: Room, performing: Performing) -> None:
        async def large() -> object:
            return Done(text=text)

        performing.result = large
        answer = await room.call("device.status")
        await asyncio.sleep(0)
        [data], [header] = room.streams, room.headers
        assert json.loads(data) == {"text": text}
        assert answer == {"stream": header["stream_id"], "bytes": len(data), "type": "application/json"}
        assert (header["destination_identities"], header["topic"]) == (["ops-1"], "device.answer")
        room.broken = True
        assert "stream" in await room.call("device.status")

    logs = served(scenario)
    assert logs[-1]["event"] == "control.stream_failed"


def test_a_flood_is_refused_and_others_are_answered() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        began = time.monotonic()
        codes = [(await room.refused("device.status", caller="evil"))[0] for _ in range(1000)]
        later = call_limits.CALLER_RATE * (time.monotonic() - began) + 1  # the limits' clock is the real one
        assert codes[: call_limits.CALLER_BURST] == [Code.FORBIDDEN] * call_limits.CALLER_BURST
        assert codes[call_limits.CALLER_BURST :].count(Code.FORBIDDEN) <= later
        assert set(codes) == {Code.FORBIDDEN, Code.TOO_MANY}
        assert await room.call("device.status") == {"text": "done"}
        assert len(performing.performed) == 1

    logs = served(scenario)
    refused = [each for each in logs if "refused" in each]
    assert len(refused) < 30


def test_calls_that_take_long_are_bounded_in_number_and_time() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        async def never() -> object:
            await asyncio.Event().wait()
            raise AssertionError

        performing.result = never
        calls = [asyncio.create_task(room.refused("device.status")) for _ in range(call_limits.CALLER_UNDER_WAY)]
        await asyncio.sleep(1)
        code, text = await room.refused("device.status")
        assert (code, text) == (Code.TOO_MANY, "the device is busy with other calls; wait a second")
        for each in calls:
            assert await each == (Code.TOO_SLOW, f"status takes longer than {CALL_S:g} s")
        performing.result = performing.done
        assert await room.call("device.status") == {"text": "done"}

    logs = served(scenario)
    assert sum(each.get("refused") == f"status takes longer than {CALL_S:g} s" for each in logs) == 4


def test_an_operation_ends_although_its_caller_has_gone() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        async def slow() -> object:
            await asyncio.sleep(5)
            return Done(text="done")

        performing.result = slow
        call = asyncio.create_task(room.call("device.reload"))
        await asyncio.sleep(1)
        call.cancel()  # as the SDK does when the caller's time is over, or the room is left
        await asyncio.wait({call})
        await asyncio.sleep(10)
        assert [each[0] for each in performing.performed] == ["reload"]

    served(scenario)


def test_the_caller_is_answered_before_the_room_is_left() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        assert await room.call("device.rejoin") == {"text": "the device leaves the room now, and joins it again"}
        assert performing.performed == []
        await asyncio.sleep(1)
        assert [each[0] for each in performing.performed] == ["rejoin"]

    served(scenario)


def test_a_call_during_which_the_room_is_left_is_answered_before() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        async def leaves() -> object:
            await performing.remote.before_leaving("the configuration changed: camera.fps")
            return Done(text="done")

        performing.result = leaves
        code, text = await room.refused("device.reload")
        assert code == Code.LEAVING
        assert text == "the device leaves the room and joins again: the configuration changed: camera.fps"
        assert performing.performed == []
        await asyncio.sleep(1)
        assert [each[0] for each in performing.performed] == ["reload"]

    served(scenario)


def test_a_call_that_makes_the_device_leave_gets_its_result() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        left = asyncio.Event()

        async def leave() -> None:
            await performing.remote.before_leaving("the configuration changed: camera.bitrate_max_bps")
            left.set()

        async def changed() -> object:
            performing.leaving = asyncio.create_task(leave())
            return Done(text="rejoin")

        performing.result = changed
        assert await room.call("device.reload") == {"text": "rejoin"}
        assert not left.is_set()  # the answer is on its way
        await left.wait()

    served(scenario)


def test_calls_end_with_the_daemon() -> None:
    async def scenario(room: Room, performing: Performing) -> None:
        async def never() -> object:
            await asyncio.Event().wait()
            raise AssertionError

        performing.result = never
        call = asyncio.create_task(room.refused("device.status"))
        await asyncio.sleep(1)
        asyncio.get_running_loop().call_later(1, lambda: None)
        call.cancel()

    served(scenario)  # its TaskGroup ends
