"""What a receiver reports about a stream: plain data."""

from __future__ import annotations

from typing import NamedTuple


class Reception(NamedTuple):
    """One receiver report.

    When it came, in microseconds of a clock that may jump; the share of packets that were lost since the one before, 0
    to 1; the round trip time in seconds, 0 if unknown.
    """

    at_us: int
    lost: float
    rtt_s: float
