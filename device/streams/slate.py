"""The slate: a still picture, sent each second while the camera delivers nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from device.clock import monotonic_us
from device.ipc.process import fresh_interpreter, killed, to_the_end
from device.log_throttle import LogThrottle
from device.media.picture import AccessUnit
from device.redaction import redacted
from device.telemetry.attributes import public_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


log = structlog.get_logger()

T = TypeVar("T")

_REPEAT_S = 1.0
_DRAWING_S = 20.0  # a small board under load
_MAX_BYTES = 1 << 20
_MAX_SIZE = (640, 360)  # a trickle, even where the link is thin
_WELCOME_S = 0.3  # who has just come may take so long to subscribe: then it is shown once more
_AGAIN_S = 15.0
_SPARE_AFTER_S = 10.0


class Slate:
    """Shown and hidden as the camera goes and comes; `deliver` takes each repeat, as it takes the camera's units."""

    def __init__(self, *, title: str, width: int, height: int, deliver: Callable[[AccessUnit], None]) -> None:
        scale = min(1.0, _MAX_SIZE[0] / width, _MAX_SIZE[1] / height)
        self._title = public_text(title)
        self._width, self._height = int(width * scale) & ~1, int(height * scale) & ~1
        self._deliver = deliver
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._spare = b""
        self._somebody = asyncio.Event()
        self._units_sent = 0

    def show(self, why: str) -> None:
        """Show from now on what is wrong; what is shown already stays, with the time when it began."""
        if self._task is None or self._task.done():
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
            self._task = self._begin(self._run([f"No picture since {since}", public_text(why)]))

    def hide(self) -> None:
        """Show nothing any more: the next live unit is a key frame."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if not self._spare and not self._tasks:
            self._begin(self._prepare())

    async def aclose(self) -> None:
        """Hide it, and wait until its tasks have ended."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def welcome(self) -> None:
        """Show it at once to a viewer who has just joined."""
        self._somebody.set()

    async def _run(self, lines: list[str]) -> None:
        drawing = self._begin(self._drawn_at_last(lines))
        try:
            while not drawing.done():
                if self._spare:
                    self._feed(self._spare)
                await asyncio.wait({drawing}, timeout=_REPEAT_S)
        finally:
            drawing.cancel()
        payload = drawing.result()
        while True:
            self._feed(payload)
            self._somebody.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REPEAT_S):
                    await self._somebody.wait()
                self._feed(payload)
                await asyncio.sleep(_WELCOME_S)

    async def _prepare(self) -> None:
        """Have one drawn for the seconds that the drawing of the right one takes, once the start is over."""
        await asyncio.sleep(_SPARE_AFTER_S)
        self._spare = await self._drawn_at_last(["No picture at this moment"])

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name="slate")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        """Log a slate that failed: it is worth a line, not the process."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("camera.slate_failed", exc_info=error)

    def _feed(self, payload: bytes) -> None:
        self._units_sent += 1
        self._deliver(
            AccessUnit(
                payload=payload,
                key=True,
                width=self._width,
                height=self._height,
                number=self._units_sent,
                captured_at_us=monotonic_us(),
            )
        )

    async def _drawn_at_last(self, lines: list[str]) -> bytes:
        """Have it drawn; where that fails, as for want of memory, again and again."""
        throttle = LogThrottle()
        while True:
            try:
                return await self._drawn(lines)
            except (OSError, RuntimeError, TimeoutError) as error:
                why = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
                if times := throttle.count_to_log(why, time.monotonic()):
                    log.warning("camera.slate_failed", why=why, times=times)
            await asyncio.sleep(_AGAIN_S)

    async def _drawn(self, lines: list[str]) -> bytes:
        """Have it drawn and encoded by a process of its own."""
        process = await fresh_interpreter(
            "device.workers.slate",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_MAX_BYTES,
        )
        wanted = {"title": self._title, "lines": lines, "width": self._width, "height": self._height}
        try:
            async with asyncio.timeout(_DRAWING_S):
                unit, complaint = await process.communicate(json.dumps(wanted).encode())
        finally:
            await to_the_end(killed(process))
        if process.returncode or not unit.startswith(b"\0\0"):
            words = redacted(complaint.decode(errors="replace").strip().rpartition("\n")[2])
            raise RuntimeError(f"the slate could not be drawn: {words[:200]}")
        return unit
