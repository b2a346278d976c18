"""Reads from an ELF file where it can run. The layout is that of elf(5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from debian.places import BuildError

if TYPE_CHECKING:
    from pathlib import Path

_MACHINES = {62: "amd64", 183: "arm64"}  # EM_X86_64, EM_AARCH64
_LOAD = 1  # PT_LOAD
_HEADER = struct.Struct("<4sBB10xHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_MAGIC = b"\x7fELF"
_64_BIT, _LITTLE_ENDIAN = 2, 1
# The Raspberry Pi 5's kernel has pages of 16 KiB; x86-64 has only pages of 4 KiB.
_PAGE_BYTES = {"amd64": 4 << 10, "arm64": 16 << 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """`architecture` is Debian's name, or a number; `alignment_bytes` is the least of all LOAD segments."""

    architecture: str
    alignment_bytes: int


def read_elf(path: Path) -> Elf | None:
    """Return the content of an ELF header; None for other files. Raises BuildError if it is truncated or of 32 bits."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        return None
    try:
        _, bits, order, _, machine, _, _, table, _, _, _, size, count, *_ = _HEADER.unpack_from(data)
        if (bits, order) != (_64_BIT, _LITTLE_ENDIAN):
            raise BuildError(f"{path}: must be a 64-bit, little-endian file")
        segments = [_SEGMENT.unpack_from(data, table + number * size) for number in range(count)]
    except struct.error:
        raise BuildError(f"{path}: is truncated") from None
    alignments = [segment[-1] for segment in segments if segment[0] == _LOAD]
    return Elf(architecture=_MACHINES.get(machine, str(machine)), alignment_bytes=min(alignments, default=0))


def check_libraries(folder: Path, architecture: str) -> list[Path]:
    """Return the ELF files below a folder. Raises BuildError for one that this architecture cannot load."""
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
        if (elf := read_elf(path)) is None:
            continue
        if elf.architecture != architecture:
            raise BuildError(f"{path}: is for {elf.architecture}, not for {architecture}")
        page = _PAGE_BYTES[architecture]
        if not elf.alignment_bytes or elf.alignment_bytes % page:
            raise BuildError(
                f"{path}: its segments are aligned to {elf.alignment_bytes} bytes; pages of {page >> 10} KiB need "
                f"{page} or a multiple"
            )
        found.append(path)
    return found
