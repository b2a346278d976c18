"""A sound as the speaker takes it: 10 ms each 10 ms."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from device.ipc.media_messages import PLAYED_BYTES, PLAYED_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def blocks_in_time(pcm: bytes) -> AsyncIterator[bytes]:
    """Yield 48 kHz, mono, 16 bits in blocks of 10 ms, each when it is due; the last one is filled with silence."""
    began_at = time.monotonic()
    for number, at in enumerate(range(0, len(pcm), PLAYED_BYTES)):
        await asyncio.sleep(began_at + number * PLAYED_MS / 1000 - time.monotonic())
        yield pcm[at : at + PLAYED_BYTES].ljust(PLAYED_BYTES, b"\0")
