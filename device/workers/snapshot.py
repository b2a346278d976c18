"""Makes a snapshot of a picture, in a thread, so that capture and encoding go on. Imported when the first is taken."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from av import VideoFrame

from device.encoders.jpeg import jpeg
from device.errors import EncoderError
from device.ipc.media_messages import MAX_SNAPSHOT_BYTES, SNAPSHOT_PIECE_BYTES, SnapshotPiece
from device.ipc.messages import TakeSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.framing import Received
    from device.ipc.worker_link import WorkerLink
    from device.media.colour import Colour
    from device.media.picture import Picture

_NICE = 10
# Between two pieces: an access unit that waits for the socket is sent then.
_PAUSE_S = 0.001


class Snapshots:
    """Answers requests for snapshots, one at a time."""

    def __init__(self, link: WorkerLink) -> None:
        self._link = link
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether the next request would be refused."""
        return self._thread is not None and self._thread.is_alive()

    def of_picture(self, request: Received, picture: Picture, colour: Colour, *, full: bool = False) -> None:
        """Answer with a picture that is valid for now only: it is copied."""
        with picture.mapped() as frame:
            pixels, pixel_format = frame.to_ndarray(), frame.format.name
        self._begin(
            request,
            lambda: VideoFrame.from_ndarray(pixels, format=pixel_format),
            captured_at_us=picture.captured_at_us,
            colour=colour,
            full=full,
        )

    def of_frame(self, request: Received, frame: VideoFrame, colour: Colour, *, captured_at_us: int) -> None:
        """Answer with a frame that nobody changes."""
        self._begin(request, lambda: frame, captured_at_us=captured_at_us, colour=colour, full=False)

    def _begin(
        self, request: Received, frame: Callable[[], VideoFrame], *, captured_at_us: int, colour: Colour, full: bool
    ) -> None:
        wanted = request.message
        assert isinstance(wanted, TakeSnapshot)
        if self.busy:
            self._link.reply(request, "another snapshot is being taken; try again")
            return

        def run() -> None:
            with contextlib.suppress(OSError):  # forbidden in the service's sandbox
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
            try:
                made = jpeg(
                    frame(),
                    max_width=wanted.max_width,
                    quality=wanted.quality,
                    colour=colour,
                    max_bytes=MAX_SNAPSHOT_BYTES,
                )
            except (EncoderError, ValueError) as error:
                self._link.reply(request, str(error))
                return
            for start in range(0, len(made.data), SNAPSHOT_PIECE_BYTES):
                piece = SnapshotPiece(
                    data=made.data[start : start + SNAPSHOT_PIECE_BYTES],
                    last=start + SNAPSHOT_PIECE_BYTES >= len(made.data),
                    width=made.width,
                    height=made.height,
                    full=full,
                    captured_at_us=captured_at_us,
                )
                self._link.send(piece, request_id=request.request_id)
                time.sleep(_PAUSE_S)

        self._thread = threading.Thread(target=run, name="snapshot", daemon=True)
        self._thread.start()
