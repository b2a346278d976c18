"""A picture that does not change by a bit: a sensor that lives has noise."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

import numpy as np

from device.media.planes import writable
from device.media.stillness import Stillness

if TYPE_CHECKING:
    from device.media.picture import Picture
    from device.workers.link import Link

_LOOK_S, _STILL_S = 1.0, 30.0


class Darkness:
    """Looks at decoded pictures, and tells when they stand still."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stillness = Stillness(limit_s=_STILL_S)
        self._look_at = 0.0
        self._before = 0

    def look(self, picture: Picture) -> None:
        """Look at a picture, once a second; that costs a millisecond."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        with picture.mapped() as frame:
            luma = zlib.crc32(np.ascontiguousarray(writable(frame)[0]).data)  # without the padding of its rows
        still = self._stillness.saw(now, same=luma == self._before)
        self._before = luma
        if still is not None:
            self._link.notice(f"the picture has not changed by a bit for {_STILL_S:.0f} s" if still else "")
