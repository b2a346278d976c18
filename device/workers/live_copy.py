"""Which units of a live camera's H.264 are sent while units may get lost, and until its next key frame. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.media.picture import AccessUnit

_STILL_US = 1_000_000


@dataclass(slots=True, kw_only=True)
class LiveCopy:
    """While `hold` is set, the last key frame takes the place of every unit; after that, all from the next key frame.

    Until that key frame the last one is repeated each second, so that a viewer has a picture.
    """

    hold: bool = True
    _key: AccessUnit | None = field(default=None, init=False)
    _decodable: bool = field(default=False, init=False)
    _sent_at_us: int = field(default=0, init=False)

    def take(self, unit: AccessUnit) -> AccessUnit | None:
        """Return what is sent in place of the next unit of the camera, if anything."""
        if unit.key:
            self._key = unit
        self._decodable = not self.hold and (unit.key or self._decodable)
        if self._decodable:
            self._sent_at_us = unit.captured_at_us
            return unit
        if self._key is None or (not self.hold and unit.captured_at_us - self._sent_at_us < _STILL_US):
            return None
        self._sent_at_us = unit.captured_at_us
        return replace(self._key, number=unit.number, captured_at_us=unit.captured_at_us)
