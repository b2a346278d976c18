"""Detects a frozen camera by pictures that are identical bit for bit: a working sensor has noise."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

from device.workers.unchanged import UnchangedDetector

if TYPE_CHECKING:
    from av.video.plane import VideoPlane

    from device.ipc.worker_link import WorkerLink
    from device.media.picture import Picture

_INTERVAL_S, _FROZEN_S = 1.0, 30.0


class FreezeDetector:
    """Compares decoded pictures, and reports when they freeze and when they change again."""

    def __init__(self, link: WorkerLink) -> None:
        self._link = link
        self._unchanged = UnchangedDetector(limit_s=_FROZEN_S)
        self._next_at = 0.0
        self._before = 0

    def check(self, picture: Picture) -> None:
        """Compare a picture with the previous one, once a second; that takes a millisecond."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _INTERVAL_S
        with picture.mapped() as frame:
            luma = _checksum(frame.planes[0])
        frozen = self._unchanged.update(now, same=luma == self._before)
        self._before = luma
        if frozen is not None:
            self._link.degraded(f"the picture has not changed by a bit for {_FROZEN_S:.0f} s" if frozen else "")


def _checksum(plane: VideoPlane) -> int:
    """Return a checksum of a plane of 8 bits a sample, without the padding of its lines."""
    data, checksum = memoryview(plane), 0
    if plane.line_size == plane.width:
        return zlib.crc32(data[: plane.height * plane.width])
    for start in range(0, plane.height * plane.line_size, plane.line_size):
        checksum = zlib.crc32(data[start : start + plane.width], checksum)
    return checksum
