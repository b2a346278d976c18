"""Waiting for one device: its first picture, the next one after a time, a line in its log."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from tests.faults.figures import NEVER

if TYPE_CHECKING:
    from tests.faults.device import Device, Mark
    from tests.faults.moments import Moment

_FIRST_S = 40.0
_POLL_S = 0.05


async def first_picture(one: Device) -> float:
    """Return the seconds from the start of the process to its first picture. Raises AssertionError for none."""
    began = one.started_at
    if not await one.viewer.until(
        lambda: one.viewer.pictures and one.viewer.pictures[-1].at > began, within_s=_FIRST_S
    ):
        raise AssertionError(f"no picture within {_FIRST_S} s: {one.viewer.events[-5:]} {one.daemon.text[-5:]}")
    return next(each.at for each in one.viewer.pictures if each.at > began) - began


async def picture_after(one: Device, moment: Moment, *, within_s: float) -> float:
    """Return the seconds until a picture is decoded that was captured after a time."""
    await one.viewer.until(lambda: one.viewer.video_again_s(moment) < NEVER, within_s=within_s)
    return one.viewer.video_again_s(moment)


async def sound_after(one: Device, at: float, *, within_s: float) -> float:
    """Return the seconds until sound is heard after a monotonic time."""
    await one.viewer.until(lambda: one.viewer.audio_again_s(at) < NEVER, within_s=within_s)
    return one.viewer.audio_again_s(at)


async def until_logged(
    one: Device, mark: Mark, event: str, *, within_s: float = 20.0, **fields: object
) -> dict[str, Any]:
    """Return the first such line; an empty one if there is none in time, so that a row can report it."""
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at:
        if lines := one.since(mark, event, **fields):
            return lines[0]
        await asyncio.sleep(_POLL_S)
    return {}
