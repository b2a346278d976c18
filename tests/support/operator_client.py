"""A participant that asks the device for operations, with the SDK's RPC."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from livekit import api, rtc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.livekit_server import Server

_STREAM_S = 30.0
_ANSWER_S = 40.0  # the SDK takes 7 s of it for the way


class Operator:
    """Calls operations of the device; an answer that comes as a byte stream is returned as bytes beside it."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self._streams: dict[str, asyncio.Future[bytes]] = {}
        self._reading: set[asyncio.Task[None]] = set()
        room.register_byte_stream_handler("device.answer", self._on_stream)

    async def call(self, operation: str, *, within_s: float = _ANSWER_S, **arguments: object) -> Any:
        """Return the answer of an operation, as JSON has it. Raises RpcError."""
        return json.loads(await self.raw(operation, json.dumps(arguments) if arguments else "", within_s=within_s))

    async def raw(self, operation: str, payload: str, *, within_s: float = _ANSWER_S) -> str:
        """Return the text of an answer to any payload. Raises RpcError."""
        return await self.room.local_participant.perform_rpc(
            destination_identity="device", method=f"device.{operation}", payload=payload, response_timeout=within_s
        )

    async def code(self, operation: str, payload: str = "", *, within_s: float = _ANSWER_S) -> tuple[int, str]:
        """Return the code and the text of a refusal; the code is 0 if there is none."""
        try:
            return 0, await self.raw(operation, payload, within_s=within_s)
        except rtc.RpcError as error:
            return error.code, error.message

    async def stream(self, answer: Mapping[str, Any]) -> bytes:
        """Return the content of the byte stream that an answer names."""
        async with asyncio.timeout(_STREAM_S):
            data = await self._stream(answer["stream"])
        assert len(data) == answer["bytes"]
        return data

    def _stream(self, stream_id: str) -> asyncio.Future[bytes]:
        return self._streams.setdefault(stream_id, asyncio.get_running_loop().create_future())

    def _on_stream(self, reader: rtc.ByteStreamReader, _sender: str) -> None:
        task = asyncio.create_task(self._read(reader))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, reader: rtc.ByteStreamReader) -> None:
        data = b"".join([chunk async for chunk in reader])
        self._stream(reader.info.stream_id).set_result(data)


def operator_token(
    server: Server, room: str, *, identity: str, attributes: Mapping[str, str] | None = None, own_metadata: bool = False
) -> str:
    """Return a token that may send data and subscribe, but not publish."""
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_publish=False,
        can_subscribe=True,
        can_publish_data=True,
        can_update_own_metadata=own_metadata,
    )
    made = api.AccessToken(server.api_key, server.api_secret).with_identity(identity).with_grants(grants)
    return made.with_attributes(dict(attributes or {})).to_jwt()


@asynccontextmanager
async def operating(
    server: Server, room: str, *, identity: str, attributes: Mapping[str, str] | None = None, own_metadata: bool = False
) -> AsyncIterator[Operator]:
    """Join a room as an operator, without media; leave it when the context ends."""
    operator = Operator(rtc.Room())
    token = operator_token(server, room, identity=identity, attributes=attributes, own_metadata=own_metadata)
    await operator.room.connect(server.url, token, rtc.RoomOptions(auto_subscribe=False))
    try:
        yield operator
    finally:
        await operator.room.disconnect()
