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


def parameter_sets_in(unit: bytes) -> bytes:
    """Return the SPS and PPS before the first slice, each with a start code."""
    kept = []
    at = unit.find(_START_CODE)
    while 0 <= at < len(unit) - len(_START_CODE):
        kind = unit[at + len(_START_CODE)] & _TYPE_MASK
        if kind in (SLICE, IDR):
            break
        following = unit.find(_START_CODE, at + len(_START_CODE))
        if kind in (SPS, PPS):
            # A start code of four bytes leaves its first zero at the end of the unit before.
            kept.append(b"\0" + unit[at : following if following >= 0 else len(unit)].rstrip(b"\0"))
        at = following
    return b"".join(kept)


def is_annexb(data: bytes) -> bool:
    """Return whether data is in Annex B, as opposed to length-prefixed NAL units (ISO/IEC 14496-15)."""
    return data.startswith((_START_CODE, b"\0" + _START_CODE))
