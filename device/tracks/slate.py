"""A still picture in the camera's place: one access unit, repeated each second, as long as the camera is away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING

import structlog

from device.clock import monotonic_us
from device.repeats import Repeats
from device.workers.wire import Flag, Kind, Message

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

_REPEAT_S = 1.0
_DRAWING_S = 20.0  # a small board under load
_MAX_BYTES = 1 << 20
_MAX_SIZE = (640, 360)  # a trickle, even where the link is thin
_WELCOME_S = 0.3  # who has just come may take so long to subscribe: then it is shown once more
_AGAIN_S = 15.0


class Slate:
    """Shows and hides itself; `show` takes a unit as the video track does."""

    def __init__(self, *, title: str, width: int, height: int, deliver: Callable[[Message], None]) -> None:
        scale = min(1.0, _MAX_SIZE[0] / width, _MAX_SIZE[1] / height)
        self._title = title
        self._width, self._height = int(width * scale) & ~1, int(height * scale) & ~1
        self._deliver = deliver
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._somebody = asyncio.Event()
        self._repeats = 0

    def show(self, why: str) -> None:
        """Show from now on what is wrong; what is shown already stays, with the time when it began."""
        if self._task is None or self._task.done():
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
            self._task = asyncio.create_task(self._run([f"No picture since {since}", why]), name="slate")
            self._tasks.add(self._task)
            self._task.add_done_callback(self._done)

    def hide(self) -> None:
        """Show nothing any more: the next live unit is a key frame."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def aclose(self) -> None:
        """Hide, and wait until nothing of it is left."""
        self.hide()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def welcome(self) -> None:
        """Show it at once to somebody who has just come."""
        self._somebody.set()

    async def _run(self, lines: list[str]) -> None:
        payload = await self._drawn_at_last(lines)
        while True:
            self._feed(payload)
            self._somebody.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._somebody.wait(), _REPEAT_S)
                self._feed(payload)
                await asyncio.sleep(_WELCOME_S)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Log a slate that failed: it is worth a line, not the process."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("camera.slate_failed", exc_info=error)

    def _feed(self, payload: bytes) -> None:
        self._repeats += 1
        self._deliver(
            Message(
                kind=Kind.UNIT,
                payload=payload,
                flags=Flag.KEY,
                width=self._width,
                height=self._height,
                frame_id=self._repeats,
                captured_at_us=monotonic_us(),
            )
        )

    async def _drawn_at_last(self, lines: list[str]) -> bytes:
        """Have it drawn; where that fails, as for want of memory, again and again."""
        repeats = Repeats()
        while True:
            try:
                return await self._drawn(lines)
            except (OSError, RuntimeError, TimeoutError) as error:
                why = str(error) or type(error).__name__
                if times := repeats.worth_telling(why, time.monotonic()):
                    log.warning("camera.slate_failed", why=why, times=times)
            await asyncio.sleep(_AGAIN_S)

    async def _drawn(self, lines: list[str]) -> bytes:
        """Have it drawn and encoded by a process of its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "device.workers.slate",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_MAX_BYTES,
        )
        wanted = {"title": self._title, "lines": lines, "width": self._width, "height": self._height}
        try:
            unit, complaint = await asyncio.wait_for(process.communicate(json.dumps(wanted).encode()), _DRAWING_S)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode or not unit.startswith(b"\0\0"):
            words = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"the slate could not be drawn: {words[:200]}")
        return unit
