"""Lets a child process decode a sound file: FFmpeg reads foreign data, and the daemon does not load it."""

from __future__ import annotations

import asyncio

from device.errors import CallError, system_text
from device.ipc.process import finish_despite_cancellation, fresh_interpreter, killed
from device.media.block import SAMPLE_BYTES
from device.printable import printable
from device.workers.sound_file import FOUND, MAX_SOUND_BYTES

_MODULE = "device.workers.sound_file"
_WITHIN_S = 10.0
_MAX_TEXT = 200


async def decoded(path: str) -> bytes:
    """Return a sound of 15 s at most: one channel of 16 bits at 48 kHz. Raises CallError with what is wrong."""
    try:
        process = await fresh_interpreter(
            _MODULE,
            path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # FFmpeg's remarks
        )
    except OSError as error:
        raise CallError(f"cannot be decoded: {system_text(error)}") from error
    assert process.stdout
    answer = b""
    try:
        async with asyncio.timeout(_WITHIN_S):
            answer = await process.stdout.readexactly(len(FOUND) + MAX_SOUND_BYTES + 1)
    except asyncio.IncompleteReadError as ended:
        answer = ended.partial
    except TimeoutError:
        raise CallError(f"cannot be decoded within {_WITHIN_S:.0f} s") from None
    finally:
        await finish_despite_cancellation(killed(process))
    kind, content = answer[: len(FOUND)], answer[len(FOUND) :]
    if kind == FOUND and 0 < len(content) <= MAX_SOUND_BYTES and len(content) % SAMPLE_BYTES == 0:
        return content
    text = printable(content[:_MAX_TEXT].decode(errors="replace")) if kind != FOUND else ""
    raise CallError(text or "cannot be decoded")
