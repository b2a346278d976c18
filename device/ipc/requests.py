"""The pending requests of one worker. Pure: the caller supplies the time, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class PendingRequests:
    """Assigns ids to requests and finds those that are not answered in time.

    The timeout does not run while the worker starts: on a small board that takes seconds.
    """

    _names: dict[int, tuple[str, float, float]] = field(default_factory=dict, init=False)
    _next_id: int = field(default=0, init=False)
    _ready_at: float | None = field(default=None, init=False)

    def clear(self) -> list[str]:
        """Remove all requests, because their worker has ended; return their names."""
        names = [name for name, *_ in self._names.values()]
        self._names.clear()
        self._ready_at = None
        return names

    def ready(self, now: float) -> None:
        """Record that the worker captures, and answers requests from now on."""
        self._ready_at = now if self._ready_at is None else self._ready_at

    def add(self, name: str, now: float, *, within_s: float) -> int:
        """Add a request and return its id, which is never 0. `within_s` is how long its reply may take."""
        self._next_id = self._next_id % 0xFFFFFFFF + 1
        self._names[self._next_id] = (name, now, within_s)
        return self._next_id

    def answered(self, request_id: int) -> str:
        """Remove an answered request and return its name; empty if no request has this id."""
        return self._names.pop(request_id, ("", 0.0, 0.0))[0]

    def overdue(self, now: float) -> dict[int, str]:
        """Remove the requests that were not answered in time, and return their names by id."""
        if self._ready_at is None:
            return {}
        late = {
            number: name
            for number, (name, sent_at, within_s) in self._names.items()
            if now - max(sent_at, self._ready_at) > within_s
        }
        for number in late:
            del self._names[number]
        return late
