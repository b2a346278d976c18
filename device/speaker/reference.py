"""What the speaker plays, by the time at which it is heard: its echo is cancelled, or the microphones are silent.

Times are in microseconds on the monotonic clock. Pure, but for the clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.clock import monotonic_us
from device.media.block import SAMPLE_BYTES, SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK_US = 10_000  # what AudioProcessingModule takes
SILENCE = bytes(SAMPLE_RATE * SAMPLE_BYTES * BLOCK_US // 1_000_000)

# The canceller gets each block so long before it is heard: by so much may the reported delay be too long.
LEAD_US = 50_000
_LEAST_LEAD_US = 10_000
_LATE_BLOCKS = 10  # in a row: no hiccup of this process
# A block further from its place than this is left out, or waits for it. Nearer ones just follow each other.
_PLACE_US = 15_000
# Measured times beyond this do not continue the earlier ones.
_BREAK_US = 100_000
_SMOOTHING = 16
_KEPT_BLOCKS = 100  # 1 s
# Half duplex: so long before and after what the speaker plays. The delay may be wrong, and rooms reverberate.
_DUCK_BEFORE_US, _DUCK_AFTER_US = 50_000, 300_000
_DUCK_GAP_US = 200_000


@dataclass(slots=True)
class SteadyTimes:
    """Times of blocks that follow each other without a gap, from measured times, which jitter."""

    _next_us: int | None = None

    def of(self, measured_us: int) -> int:
        """Return the time of the next block, which is near `measured_us`."""
        expected_us = measured_us if self._next_us is None else self._next_us
        off_us = measured_us - expected_us
        found = measured_us if abs(off_us) > _BREAK_US else expected_us + off_us // _SMOOTHING
        self._next_us = found + BLOCK_US
        return found


class EchoReader:
    """One microphone's place in what the speaker plays."""

    def __init__(self, reference: EchoReference) -> None:
        self._reference = reference
        self._blocks: deque[tuple[int, bytes]] = deque(maxlen=_KEPT_BLOCKS)
        self._times = SteadyTimes()
        self._ends_us = self._wanted_us = self._late = 0
        self.lead_us = LEAD_US

    def add(self, heard_at_us: int, block: bytes) -> None:
        """Note one block, and when it is heard."""
        self._ends_us = heard_at_us + BLOCK_US
        late_us = self._wanted_us - heard_at_us
        if late_us <= _PLACE_US:  # else silence was given instead
            self._blocks.append((heard_at_us, block))
        self._late = self._late + 1 if late_us >= 0 else 0
        if self._late == _LATE_BLOCKS:  # the delays of speaker and microphone are too short for this lead
            self._late = 0
            self.lead_us = max(_LEAST_LEAD_US, self.lead_us - late_us - BLOCK_US)

    def at(self, captured_at_us: int) -> bytes | None:
        """Return what is heard `lead_us` after the capture of the microphone's next block; None if nothing is."""
        captured_at_us = self._times.of(captured_at_us)
        wanted_us = captured_at_us + self.lead_us
        plays = self._wanted_us > 0
        while self._blocks and self._blocks[0][0] < wanted_us - _PLACE_US:
            self._blocks.popleft()
            plays = True
        block = SILENCE  # in a gap, and while the last sound is still in the room
        if self._blocks and self._blocks[0][0] <= wanted_us + _PLACE_US:
            block = self._blocks.popleft()[1]
        elif not plays or captured_at_us > self._ends_us + _BREAK_US:
            self._wanted_us = 0
            return None
        self._wanted_us = wanted_us
        return block

    def ducks(self, captured_at_us: int) -> bool:
        """Return whether the microphone has to be silent at this time."""
        return self._reference.ducks(captured_at_us)


@dataclass(slots=True, kw_only=True)
class EchoReference:
    """Gets each block that the speaker's worker is given.

    duck: the microphones are silent while the speaker plays (half duplex); nothing is cancelled then. It may change.
    """

    duck: bool = False
    now_us: Callable[[], int] = monotonic_us
    _times: SteadyTimes = field(default_factory=SteadyTimes, init=False)
    _readers: list[EchoReader] = field(default_factory=list, init=False)
    _duck_from_us: int = field(default=0, init=False)
    _duck_until_us: int = field(default=0, init=False)

    def played(self, block: bytes, *, delay_ms: int) -> None:
        """Note 10 ms of sound, mono at 48 kHz, that is heard in `delay_ms`."""
        heard_at_us = self._times.of(self.now_us() + delay_ms * 1000)
        if not self.duck:
            for each in self._readers:
                each.add(heard_at_us, block)
        elif block != SILENCE:
            if heard_at_us - _DUCK_BEFORE_US > self._duck_until_us + _DUCK_GAP_US:
                self._duck_from_us = heard_at_us - _DUCK_BEFORE_US
            self._duck_until_us = heard_at_us + BLOCK_US + _DUCK_AFTER_US

    def reader(self) -> EchoReader:
        """Return a place for one more microphone."""
        reader = EchoReader(self)
        self._readers.append(reader)
        return reader

    def ducks(self, captured_at_us: int) -> bool:
        """Return whether the microphones have to be silent at this time."""
        return self._duck_from_us <= captured_at_us < self._duck_until_us
