"""What a source of sound yields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Samples of 16 bit, channels interleaved, at 48 kHz; captured at a monotonic time in microseconds."""

    samples: bytes
    captured_at_us: int
