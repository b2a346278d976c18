"""A block of sound, as sources yield it and as the worker's messages carry it."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE = 48_000  # Hz, Opus' native rate; every block has it
SAMPLE_BYTES = 2
BLOCK_MS = 20
BLOCK_SAMPLES = SAMPLE_RATE * BLOCK_MS // 1000  # per channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Samples of 16 bit, channels interleaved, at 48 kHz; captured at a monotonic time in microseconds."""

    samples: bytes
    captured_at_us: int
