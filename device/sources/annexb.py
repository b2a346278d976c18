"""Reads the NAL unit types of an H.264 access unit in Annex B (ITU-T H.264, 7.4.1 and annex B). Pure."""

from __future__ import annotations

SLICE, IDR, SEI, SPS, PPS = 1, 5, 6, 7, 8
_START_CODE = b"\0\0\1"
_TYPE_MASK = 0x1F


def nal_types(unit: bytes) -> set[int]:
    """Return the types of the NAL units up to and including the first slice; later ones add nothing."""
    found: set[int] = set()
    at = unit.find(_START_CODE)
    while 0 <= at < len(unit) - len(_START_CODE):
        kind = unit[at + len(_START_CODE)] & _TYPE_MASK
        found.add(kind)
        if kind in (SLICE, IDR):
            break
        at = unit.find(_START_CODE, at + len(_START_CODE))
    return found


def is_annexb(data: bytes) -> bool:
    """Return whether data is in Annex B, as opposed to length-prefixed NAL units (ISO/IEC 14496-15)."""
    return data.startswith((_START_CODE, b"\0" + _START_CODE))
