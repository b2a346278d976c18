"""The newest log records, in memory, for operators who have no journal. They are redacted already."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = 300
_MAX_CHARACTERS = 2000  # of one record


class LogMemory:
    """A bounded number of records; each has a number, which goes on counting for the life of the process."""

    def __init__(self, kept: int = KEPT) -> None:
        self._records: deque[tuple[int, str, str]] = deque(maxlen=kept)
        self._number = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Keep a record as text, because its values belong to others. A record that is too long loses its fields."""
        self._number += 1
        text = json.dumps(record, default=repr)
        if len(text) > _MAX_CHARACTERS:
            short = {key: str(record.get(key, ""))[:100] for key in ("time", "level", "event")}
            text = json.dumps(short | {"shortened": text[:_MAX_CHARACTERS]})
        self._records.append((self._number, str(record.get("level", "info")), text))

    def newest(self, *, since: int, levels: frozenset[str], lines: int) -> list[dict[str, Any]]:
        """Return at most `lines` records of these levels that are newer than number `since`, the oldest first."""
        found = [(number, text) for number, level, text in tuple(self._records) if number > since and level in levels]
        return [{"number": number, **json.loads(text)} for number, text in found[-lines:]]
