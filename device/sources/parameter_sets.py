"""Completes H.264 key frames with their parameter sets: a viewer who joins cannot decode one without. Pure."""

from __future__ import annotations

from device.sources.annexb import IDR, PPS, SPS, is_annexb, nal_types, parameter_sets_in

_PARAMETER_SETS = {SPS, PPS}


class ParameterSets:
    """The newest parameter sets of a stream. `stored` is what the container has outside of the pictures."""

    def __init__(self, stored: bytes) -> None:
        self._newest = stored if is_annexb(stored) else b""

    def completed(self, payload: bytes) -> tuple[bytes, bool] | None:
        """Return a unit with parameter sets before an IDR, and whether it is an IDR; None if there are none."""
        found = nal_types(payload)
        if found >= _PARAMETER_SETS:
            self._newest = parameter_sets_in(payload)
        elif IDR in found:
            if not self._newest:
                return None
            payload = self._newest + payload
        return payload, IDR in found
