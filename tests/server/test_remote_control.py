"""What participants of the room may ask the device for, with the SDK as caller, on a real server."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from livekit import rtc

from device.config.operation_names import OPERATION_NAMES
from device.control import call_limits
from tests.support import daemon as daemons
from tests.support.flood import flooded
from tests.support.operator_client import Operator, operating, operator_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.daemon import Daemon
    from tests.support.livekit_server import Server

ALLOW = [
    {"identity": "ops-*", "operations": list(OPERATION_NAMES)},
    {"identity": "*", "attributes": {"role": "operator"}, "operations": ["status"]},
]
_FIRST_S = 30.0


@asynccontextmanager
async def device(server: Server, room: str, config: Path, **extra: str) -> AsyncIterator[Daemon]:
    """Run a device that is live and allows what ALLOW says."""
    variables = daemons.environment(server, room, DEVICE_CONTROL__ALLOW=json.dumps(ALLOW), **extra)
    with daemons.running(config, variables) as daemon:
        await asyncio.to_thread(daemon.event, "device.state", new="live", within_s=_FIRST_S)
        yield daemon
        await asyncio.to_thread(daemon.stop)


def audit(daemon: Daemon, **fields: object) -> list[dict[str, Any]]:
    return [each for each in daemon.lines if each["event"] == "control.call" and fields.items() <= each.items()]


async def the_others_work_as_well(operator: Operator) -> None:
    """Ask for what has a result of its own, or a picture."""
    picture = await operator.call("snapshot", max_width=320)
    data = await operator.stream(picture)
    assert data.startswith(b"\xff\xd8")
    assert (picture["camera"], picture["width"], picture["type"]) == ("camera", 320, "image/jpeg")
    assert (await operator.call("config", table="microphone"))["keys"]["microphone.gain_db"]["value"] == 0
    assert (await operator.call("config", table="sounds"))["keys"]["sounds"]["value"] == {}
    assert await operator.call("set", values={"microphone.gain_db": 3.0}) == {
        "keys": {"microphone.gain_db": "applied live"}
    }
    assert await operator.call("reset") == {"keys": {"microphone.gain_db": "applied live"}}
    assert (await operator.code("set", '{"values": {"room.name": "x"}}'))[0] == 409
    assert (await operator.call("privacy", on=True, stream="microphone"))["streams"] == ["microphone"]
    assert (await operator.call("privacy", on=False, stream="microphone"))["streams"] == []
    assert (await operator.code("run", '{"name": "lamp"}'))[0] == 409
    assert (await operator.code("play", '{"name": "bell"}'))[0] == 409


def test_each_operation_is_a_method_in_the_room(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with (
            device(server, room, config, DEVICE_LOG__LEVEL="debug") as daemon,
            operating(server, room, identity="ops-1") as operator,
        ):
            status = await operator.call("status")
            assert (status["state"], status["identity"], status["room"]["name"]) == ("live", "device", room)
            assert set(status["streams"]) == {"camera", "microphone"}

            assert await operator.call("key_frame", stream="camera") == {"text": "camera sends a key frame"}
            mark = len(daemon.lines)
            assert await operator.call("restart", stream="camera") == {"text": "camera is restarted"}
            await asyncio.to_thread(daemon.event, "worker.restarting", worker="camera", since=mark)
            await asyncio.to_thread(daemon.event, "worker.state", worker="camera", new="live", since=mark)
            assert "loaded again" in (await operator.call("reload"))["text"]
            unknown = await operator.code("restart", '{"stream": "garden"}')
            assert unknown == (409, "there is no stream of this name; there are: camera, microphone")

            # The caller is answered before the room is left, and the new Room takes calls as well.
            mark = len(daemon.lines)
            assert "leaves the room now" in (await operator.call("rejoin"))["text"]
            await asyncio.to_thread(daemon.event, "room.state", new="live", since=mark)
            assert "an operator asked for it" in (await operator.call("status"))["room"]["last_disconnect"]

            # More than fits into an answer comes as a byte stream, to the caller alone.
            answer = await operator.call("logs", lines=300)
            records = json.loads(await operator.stream(answer))["records"]
            assert len(records) > 20
            assert answer["type"] == "application/json"
            assert len((await operator.call("logs", lines=2))["records"]) == 2

            await the_others_work_as_well(operator)

            # As is one whose change needs a rejoin.
            mark = len(daemon.lines)
            values = {"camera.bitrate_max_bps": 3_000_000}
            assert (await operator.call("set", values=values))["keys"] == {"camera.bitrate_max_bps": "rejoin"}
            await asyncio.to_thread(daemon.event, "room.state", new="live", since=mark)

            # Far too many calls are answered as well.
            token = operator_token(server, room, identity="ops-2")
            found = await flooded(server.url, token, rate=300, seconds=2)
            assert set(found.codes) == {"0", "429"}
            # Not more than the caller's burst and rate; fewer if several are under way at a time.
            assert call_limits.CALLER_UNDER_WAY <= found.codes["0"] <= 2 * call_limits.CALLER_BURST
            assert (await operator.call("status"))["state"] == "live"

            who = "participant ops-1"
            done = audit(daemon, caller=who)
            assert {each["operation"] for each in done if "result" in each} == {*OPERATION_NAMES} - {"play", "run"}
            assert "lamp" in audit(daemon, operation="run")[0]["arguments"]
            assert audit(daemon, operation="restart")[0]["arguments"] == "{'stream': 'camera'}"
            assert len(audit(daemon, refused=unknown[1])) == 1

    asyncio.run(scenario())


def test_who_may_not_ask_is_refused(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with (
            device(server, room, config) as daemon,
            operating(server, room, identity="viewer-1") as viewer,
            operating(server, room, identity="anna", attributes={"role": "operator"}) as anna,
            operating(server, room, identity="eve", attributes={"role": "operator"}, own_metadata=True) as eve,
            operating(server, room, identity="ops-1") as operator,
        ):
            assert await viewer.code("status") == (403, "status is not allowed with these attributes")
            assert await viewer.code("rejoin") == (403, "rejoin is not allowed for this identity")
            assert (await anna.call("status"))["state"] == "live"
            assert await anna.code("logs") == (403, "logs is not allowed for this identity")
            why = "status is not allowed: attributes that the caller may change do not count"
            assert await eve.code("status") == (403, why)
            assert (await operator.code("nonsense"))[0] == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD

            # A caller cannot name itself as another one.
            writer = await viewer.room.local_participant.stream_text(
                topic="lk.rpc_request",
                destination_identities=["device"],
                sender_identity="ops-1",
                attributes={
                    "lk.rpc_request_id": "1",
                    "lk.rpc_request_method": "device.rejoin",
                    "lk.rpc_request_version": "2",
                    "lk.rpc_request_response_timeout_ms": "5000",
                },
            )
            await writer.aclose()

            assert await operator.code("restart", '{"stream": 1}') == (400, "stream of restart must be a text")
            assert (await operator.code("status", "{"))[0] == 400
            assert (await operator.code("status", "x" * (16 << 10)))[0] == 413
            sdk_error = int(rtc.RpcError.ErrorCode.APPLICATION_ERROR)  # the SDK does not collect more than 64 KiB
            assert (await operator.code("status", "x" * (200 << 10), within_s=8))[0] == sdk_error
            assert (await operator.call("status"))["state"] == "live"

            refused = audit(daemon, level="warning")
            callers = {each["caller"] for each in refused}
            assert callers == {f"participant {each}" for each in ("viewer-1", "anna", "eve", "ops-1")}
            assert len([each for each in refused if each["caller"] == "participant viewer-1"]) == 3
            assert not [each for each in daemon.lines if each["event"] == "room.leaving"]

    asyncio.run(scenario())
