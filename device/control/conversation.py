"""One connection to the control socket: call after call, each answered before the next is read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from device.control import wire
from device.control.caller import Caller, CallerKind
from device.control.decoding import decoded
from device.control.limits import CALL_S, MAX_CALL_BYTES
from device.control.peer import GROUP, Peer
from device.errors import CallError

if TYPE_CHECKING:
    from device.control.performer import Performer

log = structlog.get_logger()

_IDLE_S, _WRITE_S = 60.0, 5.0


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, performer: Performer, *, crowded: bool
) -> None:
    """Answer calls until the peer closes, is silent for a minute, or may not call at all."""
    peer = Peer.of(writer.get_extra_info("socket"))
    caller = Caller(kind=CallerKind.LOCAL, name=str(peer))
    refusal = ""
    if not peer.may_control:
        log.warning("control.refused", caller=str(caller))
        refusal = f"only root and the group {GROUP} may control the device"
    elif crowded:
        refusal = "too many commands at once; try again"
    if refusal:
        await _line(reader, writer)  # else the peer gets an error instead of the answer
        await _write(writer, wire.error_line(CallError(refusal)))
        return
    while line := await _line(reader, writer):
        try:
            call = decoded(*wire.call_of_line(line))
            async with asyncio.timeout(CALL_S):
                result = await performer.perform(call, caller=caller)
            answer = wire.answer_line(result)
        except TimeoutError:
            answer = wire.error_line(CallError(f"the operation takes longer than {CALL_S:g} s"))
        except CallError as error:
            answer = wire.error_line(error)
        await _write(writer, answer)


async def _line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the next line; nothing at the end, after a minute of silence, and after a line that is too long."""
    try:
        async with asyncio.timeout(_IDLE_S):
            return await reader.readline()
    except ValueError:
        await _write(writer, wire.error_line(CallError(f"a call has at most {MAX_CALL_BYTES >> 10} KiB")))
    except (TimeoutError, ConnectionError):
        pass
    return b""


async def _write(writer: asyncio.StreamWriter, line: bytes) -> None:
    """Write an answer. A peer that does not read it loses its connection."""
    try:
        async with asyncio.timeout(_WRITE_S):
            writer.write(line)
            await writer.drain()
    except (TimeoutError, ConnectionError):
        writer.transport.abort()
