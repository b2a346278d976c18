"""Lets participants of a room ask the device for operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from device.tokens.grants import NO_DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from livekit import rtc

    from device.tokens.grants import Grants

log = structlog.get_logger()


def take_calls(room: rtc.Room, interfaces: Sequence[Callable[[rtc.Room], None]], grants: Grants) -> None:
    """Let each interface register what it answers. Whatever fails in it, the device publishes all the same."""
    if not grants.can_publish_data:
        log.warning("control.not_granted", hint=f"callers get no answer: {NO_DATA}")
    for serve in interfaces:
        try:
            serve(room)
        except Exception as error:
            log.error("room.task_failed", task="control", exc_info=error)  # noqa: TRY400 - one line, redacted
