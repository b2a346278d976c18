"""The slate: a still picture, sent each second while the camera delivers nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from device.clock import monotonic_us
from device.ipc.process import finish_despite_cancellation, fresh_interpreter, killed
from device.ipc.worker_state import WorkerState
from device.log_throttle import LogThrottle
from device.media.picture import AccessUnit
from device.redaction import public_text, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


log = structlog.get_logger()

T = TypeVar("T")

_REPEAT_S = 1.0
_DRAW_S = 20.0  # on a small board under load
_MAX_BYTES = 1 << 20
_MAX_SIZE = (640, 360)  # a few kbit/s, even on a thin link
_SUBSCRIBE_S = 0.3  # a viewer who has just joined may take this long to subscribe
_RETRY_S = 15.0
_PREPARE_AFTER_S = 10.0
_LINES = {WorkerState.PRIVACY: ("Privacy", "The camera is off"), WorkerState.ASLEEP: ("Asleep", "The camera starts")}


class Slate:
    """A still picture that is shown while the stream `name` delivers nothing.

    `deliver` takes each repetition as it takes the camera's units. Width and height are the camera's, in pixels.
    """

    def __init__(
        self, name: str, *, title: str, width: int, height: int, deliver: Callable[[AccessUnit], None]
    ) -> None:
        self._log = log.bind(stream=name)
        self._title, self._width, self._height = "", 0, 0
        self._generic, self._preparing = b"", False
        self.reconfigure(title=title, width=width, height=height)
        self._deliver = deliver
        self._showing: asyncio.Task[None] | None = None
        self._lines: tuple[str, str] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._viewer_joined = asyncio.Event()
        self._units_sent = 0

    def reconfigure(self, *, title: str, width: int, height: int) -> None:
        """Use this title and the camera's size for each slate that is drawn from now on."""
        longer, shorter = _MAX_SIZE
        scale = min(1.0, longer / max(width, height), shorter / min(width, height))
        size = int(width * scale) & ~1, int(height * scale) & ~1
        if (public_text(title), *size) != (self._title, self._width, self._height):
            self._title, (self._width, self._height) = public_text(title), size
            self._generic, self._preparing = b"", False

    def show(self, why: str, state: WorkerState = WorkerState.STALLED) -> None:
        """Show that there is no picture since now, and why; or that the camera is closed on purpose.

        A slate of the same kind that is shown already stays.
        """
        own = _LINES.get(state)
        if self._showing is None or self._showing.done() or own != self._lines:
            if self._showing is not None:
                self._showing.cancel()
            self._lines = own
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
            lines = own or ("No picture", public_text(why))
            self._showing = self._begin(self._run([f"{lines[0]} since {since}", *lines[1:]]))
        self._prepare()

    def hide(self) -> None:
        """Stop showing the slate, because the camera delivers."""
        if self._showing is not None:
            self._showing.cancel()
            self._showing = None
        self._prepare()

    async def aclose(self) -> None:
        """Hide it, and wait until its tasks have ended. May be called twice."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def viewer_joined(self) -> None:
        """Show it at once to a viewer who has just joined."""
        self._viewer_joined.set()

    async def _run(self, lines: list[str]) -> None:
        drawing = self._begin(self._draw_with_retries(lines))
        try:
            while not drawing.done():
                if self._generic:
                    self._feed(self._generic)
                await asyncio.wait({drawing}, timeout=_REPEAT_S)
        finally:
            drawing.cancel()
        payload = drawing.result()
        while True:
            self._feed(payload)
            self._viewer_joined.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REPEAT_S):
                    await self._viewer_joined.wait()
                self._feed(payload)
                await asyncio.sleep(_SUBSCRIBE_S)

    def _prepare(self) -> None:
        """Have a generic slate drawn, once, for the seconds in which a specific one is drawn."""
        if not self._preparing:
            self._preparing = True
            self._begin(self._draw_generic())

    async def _draw_generic(self) -> None:
        await asyncio.sleep(_PREPARE_AFTER_S)  # the start has priority
        self._generic = await self._draw_with_retries(["No picture at this moment"])

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name="slate")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        """Log the error of a task: a slate that fails must not end the process."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._log.error("camera.slate_failed", exc_info=error)

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

    async def _draw_with_retries(self, lines: list[str]) -> bytes:
        """Have it drawn; repeat that for as long as it fails."""
        throttle = LogThrottle()
        while True:
            try:
                return await self._draw(lines)
            except (OSError, RuntimeError, TimeoutError) as error:
                why = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
                if times := throttle.count_to_log(why, time.monotonic()):
                    self._log.warning("camera.slate_failed", why=why, times=times)
            await asyncio.sleep(_RETRY_S)

    async def _draw(self, lines: list[str]) -> bytes:
        """Have it drawn and encoded by a process of its own."""
        process = await fresh_interpreter(
            "device.workers.slate",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_MAX_BYTES,
        )
        order = {"title": self._title, "lines": lines, "width": self._width, "height": self._height}
        try:
            async with asyncio.timeout(_DRAW_S):
                unit, stderr = await process.communicate(json.dumps(order).encode())
        finally:
            await finish_despite_cancellation(killed(process))
        if process.returncode or not unit.startswith(b"\0\0"):
            last_line = redacted(stderr.decode(errors="replace").strip().rpartition("\n")[2])
            raise RuntimeError(f"the slate could not be drawn: {last_line[:200]}")
        return unit
