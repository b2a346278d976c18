"""Writes the participant's attributes into the room, while the room allows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from livekit import rtc

    from device.telemetry.attributes import Attributes

log = structlog.get_logger()

_CONFIRMED_S = 1.0  # it takes 5 ms


class AttributeWriter:
    """Keeps the attributes of one Room's local participant equal to `attributes`."""

    def __init__(self, room: rtc.Room, attributes: Attributes, *, permitted: bool) -> None:
        self._room = room
        self._attributes = attributes
        self._may_write = asyncio.Event()
        self._changed = asyncio.Event()
        self._permitted: bool | None = None
        self._permitted_at_first = permitted
        room.on("participant_attributes_changed", self._on_changed)

    async def run(self) -> None:
        """Write all attributes now, and after each change, until cancelled."""
        if self._permitted is None:
            self.permit(permitted=self._permitted_at_first)
        async for values in self._attributes.changes():
            await self._may_write.wait()
            if not await self._write(values):
                self._attributes.repeat()

    async def _write(self, values: Mapping[str, str]) -> bool:
        """Write attributes; return whether the server has confirmed them.

        The SDK's call is not what counts (livekit 1.2.1): one in 80 hangs for 5 s although the confirmation came within
        5 ms, and while the SDK reconnects it returns normally and fails.
        """
        call = asyncio.create_task(self._room.local_participant.set_attributes(dict(values)), name="set-attributes")
        call.add_done_callback(lambda _call: self._changed.set())
        try:
            async with asyncio.timeout(_CONFIRMED_S):
                while not self._confirmed(values):
                    if call.done():
                        call.result()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        finally:
            if call.done() and not call.cancelled():
                call.exception()  # raised above, or of no account because the values are confirmed
            call.cancel()
        return True

    def write_again(self) -> None:
        """Write all attributes again, because a change may have been lost."""
        self._attributes.repeat()

    def permit(self, *, permitted: bool) -> None:
        """Note whether the room allows this participant to change its attributes."""
        if permitted == self._permitted:
            return
        self._permitted = permitted
        if permitted:
            self._may_write.set()
            self._attributes.repeat()
        else:
            self._may_write.clear()
            log.warning(
                "room.attributes_not_granted",
                hint="the room does not allow it (canUpdateOwnMetadata); viewers see no state",
            )

    def _on_changed(self, _changed: object, participant: object) -> None:
        if participant is self._room.local_participant:
            self._changed.set()

    def _confirmed(self, values: Mapping[str, str]) -> bool:
        present = self._room.local_participant.attributes
        return all(present.get(name, "") == value for name, value in values.items())  # the server drops empty ones
