"""Whether the SDK restarts its connection, as its log says."""

from __future__ import annotations

import asyncio
import os
import time

from device import native_output
from device.native_sdk.restarts import Restarts

BEGINS = "livekit::rtc_engine:995:livekit::rtc_engine - restarting connection... attempt: 2"
FAILED = "livekit::rtc_engine:1030:livekit::rtc_engine - restarting connection failed: signal failure"


def test_an_attempt_lasts_until_it_fails() -> None:
    restarts = Restarts()
    assert not restarts.under_way
    restarts.read(BEGINS)
    assert restarts.under_way
    restarts.read("livekit_signaling - connecting")
    assert restarts.under_way
    restarts.read(FAILED)
    assert not restarts.under_way


def test_a_room_is_left_when_the_attempt_has_ended() -> None:
    restarts = Restarts()
    restarts.read(BEGINS)

    async def left_after_s(*, reconnecting: bool) -> float:
        began = time.monotonic()
        asyncio.get_running_loop().call_later(0.1, restarts.read, FAILED)
        await restarts.over(lambda: reconnecting, within_s=30)
        return time.monotonic() - began

    assert asyncio.run(left_after_s(reconnecting=True)) >= 0.09
    assert not restarts.under_way


def test_a_room_that_is_connected_is_left_at_once() -> None:
    restarts = Restarts()
    restarts.read(BEGINS)
    asyncio.run(restarts.over(lambda: False, within_s=30))
    assert not restarts.under_way


def test_an_attempt_that_does_not_end_is_not_waited_for_longer() -> None:
    restarts = Restarts()
    restarts.read(BEGINS)
    asyncio.run(restarts.over(lambda: True, within_s=0.1))
    assert not restarts.under_way


def test_what_the_library_writes_to_standard_error_is_read() -> None:
    reader, writer = os.pipe()
    restarts = Restarts()
    with os.fdopen(writer, "wb") as out:
        out.write(b"[2026-11-27T08:38:19Z ERROR livekit::rtc_engine] restarting connection... attempt: 2\n")
    native_output._log_lines(reader, restarts.read)
    os.close(reader)
    assert restarts.under_way
