"""The RPC method `device.talk`: asks for the floor, or gives it up. What comes from the room is untrusted."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from livekit import rtc

from device.control.call_limits import CallLimits
from device.control.refusals import Code, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.speaker.floor import Floor

METHOD: Final = "device.talk"
_MAX_CHARACTERS = 1000


class TalkCall:
    """Answers calls of each Room that it serves. `on_change` is called after the floor may have changed."""

    def __init__(self, floor: Floor, *, on_change: Callable[[], None]) -> None:
        self._floor, self._on_change, self._limits = floor, on_change, CallLimits()

    def serve(self, room: rtc.Room) -> None:
        """Register the method."""
        room.local_participant.register_rpc_method(METHOD, partial(self._called, room))

    async def _called(self, _room: rtc.Room, invocation: rtc.RpcInvocationData) -> str:
        try:
            state = self.answer(invocation.caller_identity, invocation.payload, time.monotonic())
        except RefusedError as refused:
            raise rtc.RpcError(refused.code, str(refused)) from None
        return json.dumps({"state": state})

    def answer(self, identity: str, payload: str, now: float) -> str:
        """Carry out a call; return the talker's state. Raises RefusedError."""
        if self._limits.too_fast(identity, now):
            raise RefusedError(Code.TOO_MANY, "too many calls; wait a second")
        if not self._floor.allows(identity):
            raise RefusedError(Code.FORBIDDEN, "talking is not allowed for this identity")
        if not _wants(payload):
            self._floor.close(identity)
            self._on_change()
            return "off"
        why = self._floor.open(identity, now)
        self._on_change()
        if why:
            raise RefusedError(Code.REFUSED, why)
        return "heard"


def _wants(payload: str) -> bool:
    """Return whether a caller wants to talk. Raises RefusedError."""
    try:
        wanted = json.loads(payload[:_MAX_CHARACTERS])["on"]
    except (ValueError, KeyError, TypeError, RecursionError):
        wanted = None
    if not isinstance(wanted, bool):
        raise RefusedError(Code.MALFORMED, 'the payload must be {"on": true} or {"on": false}')
    return wanted
