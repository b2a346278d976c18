"""Whether the resources of a process stop growing while an event is repeated. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.footprint import Footprint


@dataclass(slots=True)
class Course:
    """The footprint after each event. All figures are about the second half of them: the first one may warm up."""

    samples: list[Footprint] = field(default_factory=list)

    def slope_kb(self) -> float:
        """Return the growth of RSS for each event, by a straight line through all samples."""
        sizes = [each.rss_kb for each in self._second_half()]
        return float(np.polyfit(range(len(sizes)), sizes, 1)[0])

    def higher_kb(self) -> int:
        """Return by how much the highest RSS of the second half exceeds that of the first half."""
        first = self.samples[: -len(self._second_half())]
        return max(each.rss_kb for each in self._second_half()) - max(each.rss_kb for each in first)

    def more_threads(self) -> float:
        return self._grown(lambda each: each.threads)

    def more_descriptors(self) -> float:
        return self._grown(lambda each: each.descriptors)

    def text(self) -> str:
        first, half, last = self.samples[0], self._second_half()[0], self.samples[-1]
        return f"after 1: {first}; after half: {half}; after {len(self.samples)}: {last}"

    def _second_half(self) -> list[Footprint]:
        return self.samples[len(self.samples) // 2 :]

    def _grown(self, of: Callable[[Footprint], int]) -> float:
        """Return the difference of the medians of the last two quarters: connections come and go meanwhile."""
        late = self._second_half()
        third, fourth = late[: len(late) // 2], late[len(late) // 2 :]
        return statistics.median(map(of, fourth)) - statistics.median(map(of, third))
