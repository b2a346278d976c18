"""What stands in an access unit of H.264 in Annex B (ITU-T H.264, 7.4.1 and annex B). Pure."""

from __future__ import annotations

SLICE, IDR, SEI, SPS, PPS = 1, 5, 6, 7, 8
_CODE = b"\0\0\1"
_TYPE = 0x1F


def nal_types(unit: bytes) -> set[int]:
    """Return the types of the NAL units before the first slice, and of that: later ones say nothing new."""
    found: set[int] = set()
    at = unit.find(_CODE)
    while 0 <= at < len(unit) - len(_CODE):
        kind = unit[at + len(_CODE)] & _TYPE
        found.add(kind)
        if kind in (SLICE, IDR):
            break
        at = unit.find(_CODE, at + len(_CODE))
    return found


def starts_with_code(data: bytes) -> bool:
    """Say whether data is in Annex B, as opposed to a box of lengths (ISO/IEC 14496-15)."""
    return data.startswith((_CODE, b"\0" + _CODE))
