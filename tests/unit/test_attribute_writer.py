"""Attributes are written until the server has confirmed them, whatever the SDK's call does; in virtual time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from device.room.attribute_writer import AttributeWriter
from device.telemetry.attributes import Attributes
from tests.unit.virtual_time import run_virtually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from livekit import rtc

ANSWER_S = 0.005


class FakeRoom:
    """Confirms each write after 5 ms, unless it is told to lose them; `call` is what the SDK's call does."""

    def __init__(self, call: Callable[[], Awaitable[None]], *, lost: int = 0) -> None:
        self.local_participant: Any = self
        self.attributes: dict[str, str] = {}
        self.writes: list[tuple[float, dict[str, str]]] = []
        self._call, self._lost = call, lost
        self._handler: Callable[[object, object], None] = lambda _changed, _participant: None

    def on(self, event: str, handler: Callable[[object, object], None]) -> None:
        assert event == "participant_attributes_changed"
        self._handler = handler

    async def set_attributes(self, values: dict[str, str]) -> None:
        loop = asyncio.get_running_loop()
        self.writes.append((round(loop.time() - 1000, 3), values))
        if self._lost:
            self._lost -= 1
        else:
            loop.call_later(ANSWER_S, self._confirm, values)
        await self._call()

    def _confirm(self, values: dict[str, str]) -> None:
        self.attributes = dict(values)
        self._handler({}, object())  # another participant's
        self._handler({}, self)


async def hang() -> None:
    await asyncio.Event().wait()


async def return_at_once() -> None: ...


def written(room: FakeRoom, changes: dict[float, str], *, until_s: float = 20.0) -> list[tuple[float, str]]:
    """Change an attribute at these seconds; return when it was written, and with which value."""

    async def main() -> None:
        attributes = Attributes(camera="starting")
        writer = AttributeWriter(cast("rtc.Room", room), attributes, permitted=True)
        running = asyncio.create_task(writer.run())
        for at_s, value in changes.items():
            asyncio.get_running_loop().call_at(1000 + at_s, partial(attributes.set, camera=value))
        await asyncio.sleep(until_s)
        running.cancel()

    run_virtually(main)
    return [(at_s, values["device.camera"]) for at_s, values in room.writes]


@pytest.mark.parametrize("call", (hang, return_at_once))
def test_each_change_is_written_at_once_even_if_the_sdks_call_hangs(call: Callable[[], Awaitable[None]]) -> None:
    room = FakeRoom(call)
    changes = {1.0: "stalled", 1.3: "live", 2.0: "stalled", 2.02: "live"}
    assert written(room, changes) == [(0.0, "starting"), *changes.items()]
    assert room.attributes == {"device.camera": "live"}


def test_a_write_that_is_not_confirmed_is_repeated_until_it_is() -> None:
    room = FakeRoom(return_at_once, lost=3)
    assert [value for _, value in written(room, {})] == ["starting"] * 4
    assert room.attributes == {"device.camera": "starting"}


def test_an_error_of_the_sdk_is_raised() -> None:
    async def fail() -> None:
        raise RuntimeError("no such participant")

    async def main() -> None:
        writer = AttributeWriter(cast("rtc.Room", FakeRoom(fail, lost=1)), Attributes(camera="x"), permitted=True)
        with pytest.raises(RuntimeError, match="no such participant"):
            await writer.run()

    run_virtually(main)
