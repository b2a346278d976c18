"""What is known about the packets of a stream: plain data."""

from __future__ import annotations

from typing import NamedTuple


class Reception(NamedTuple):
    """The newest receiver report, and the sender's own counts in this session.

    `at_us`: when the report came, in microseconds of a clock that may jump. `lost`: the share of packets that are
    missing since the one before, 0 to 1. `rtt_s`: the round trip time in seconds, 0 if unknown. `sent`: packets sent so
    far, of these `resent` again.
    """

    at_us: int
    lost: float
    rtt_s: float
    sent: int = 0
    resent: int = 0
