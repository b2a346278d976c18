"""A picture that does not change by a bit: a sensor that lives has noise."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

from device.workers.unchanged import UnchangedDetector

if TYPE_CHECKING:
    from av.video.plane import VideoPlane

    from device.ipc.worker_link import WorkerLink
    from device.media.picture import Picture

_LOOK_S, _STILL_S = 1.0, 30.0


class FreezeDetector:
    """Looks at decoded pictures, and tells when they stand still."""

    def __init__(self, link: WorkerLink) -> None:
        self._link = link
        self._unchanged = UnchangedDetector(limit_s=_STILL_S)
        self._look_at = 0.0
        self._before = 0

    def look(self, picture: Picture) -> None:
        """Look at a picture, once a second; that costs a millisecond."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        with picture.mapped() as frame:
            luma = _checksum(frame.planes[0])
        still = self._unchanged.saw(now, same=luma == self._before)
        self._before = luma
        if still is not None:
            self._link.degraded(f"the picture has not changed by a bit for {_STILL_S:.0f} s" if still else "")


def _checksum(plane: VideoPlane) -> int:
    """Return a checksum of a plane of 8 bits a sample, without the padding of its lines."""
    whole, found = memoryview(plane), 0
    for start in range(0, plane.height * plane.line_size, plane.line_size):
        found = zlib.crc32(whole[start : start + plane.width], found)
    return found
