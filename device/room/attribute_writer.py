"""Writes the participant's attributes into the room, while the room allows it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from livekit import rtc

    from device.telemetry.attributes import Attributes

log = structlog.get_logger()

_CONFIRMED_S = 0.5  # an answer takes 10 ms


class AttributeWriter:
    """Keeps the attributes of one Room's local participant equal to `attributes`."""

    def __init__(self, room: rtc.Room, attributes: Attributes, *, permitted: bool) -> None:
        self._room = room
        self._attributes = attributes
        self._may_write = asyncio.Event()
        self._permitted: bool | None = None
        self._permitted_at_first = permitted

    async def run(self) -> None:
        """Write all attributes now, and after each change, until cancelled."""
        if self._permitted is None:
            self.permit(permitted=self._permitted_at_first)
        async for values in self._attributes.changes():
            await self._may_write.wait()
            # set_attributes() hangs for 5 s in one call of 70, although the server has the values at once; while the
            # SDK reconnects it returns normally and fails. Only the server's confirmation counts.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONFIRMED_S):
                    await self._room.local_participant.set_attributes(dict(values))
            if not self._confirmed(values):
                await asyncio.sleep(_CONFIRMED_S)
            if not self._confirmed(values):
                self._attributes.repeat()

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

    def _confirmed(self, values: Mapping[str, str]) -> bool:
        return values.items() <= self._room.local_participant.attributes.items()
