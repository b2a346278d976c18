"""Which talkers are heard. Pure: the caller supplies the time, in seconds.

A talker takes the floor when its microphone opens, and with the first sound after a pause; silence gives it up. So an
open microphone in a quiet room, or an agent between two answers, keeps the floor from nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

SILENT_S: Final = 3.0
"""A talk ends after so long without a sound."""
_REST_S = 1.0  # of silence, after a talk that was too long


@dataclass(slots=True, kw_only=True)
class _Talker:
    """A talker whose microphone is open. `since` is None while it is not heard; `spent`: its talk was too long."""

    sounded_at: float
    since: float | None = None
    spent: bool = False


@dataclass(slots=True, kw_only=True)
class Floor:
    """The talkers of one room. The settings are those of [speaker]; they may change."""

    allow: tuple[str, ...]
    exclusive: bool
    max_s: float
    _open: dict[str, _Talker] = field(default_factory=dict, init=False)

    @property
    def heard(self) -> tuple[str, ...]:
        """The identities that are heard now, the first one first."""
        found = [(each.since, identity) for identity, each in self._open.items() if each.since is not None]
        return tuple(identity for _, identity in sorted(found, key=lambda each: each[0]))

    def allows(self, identity: str) -> bool:
        """Return whether this participant may talk."""
        return bool(identity) and any(fnmatchcase(identity, pattern) for pattern in self.allow)

    def open(self, identity: str, now: float) -> str:
        """Note that a talker's microphone is open, or that it asks for the floor; return why it is not heard.

        The text is empty if it is heard, if only it sends sound.
        """
        self.update(now)
        if not self.allows(identity):
            return "talking is not allowed for this identity"
        talker = self._open.setdefault(identity, _Talker(sounded_at=now))
        if talker.spent:
            return f"a talk lasts {self.max_s:g} s at most; be silent for a second before the next one"
        if talker.since is None:
            talker.sounded_at = now
            self._take(talker, now)
        return "" if talker.since is not None else f"busy: {self.heard[0]} is talking"

    def close(self, identity: str) -> None:
        """Note that a talker's microphone is muted or gone."""
        self._open.pop(identity, None)

    def clear(self) -> None:
        """Forget all talkers, because the room is left."""
        self._open.clear()

    def sound(self, identity: str, now: float, *, loud: bool) -> bool:
        """Take note of one block of a talker's sound; return whether to play it."""
        self.update(now)
        if (talker := self._open.get(identity)) is None:
            return False
        if loud:
            talker.sounded_at = now
            if talker.since is None and not talker.spent:
                self._take(talker, now)
        return talker.since is not None

    def update(self, now: float) -> None:
        """End the talks that are over."""
        for identity in [each for each in self._open if not self.allows(each)]:
            del self._open[identity]
        for talker in self._open.values():
            silent_s = now - talker.sounded_at
            if talker.since is not None and now - talker.since >= self.max_s:
                talker.since, talker.spent = None, True
            elif talker.since is not None and silent_s >= SILENT_S:
                talker.since = None
            elif talker.spent and silent_s >= _REST_S:
                talker.spent = False
        if self.exclusive:
            for identity in self.heard[1:]:
                self._open[identity].since = None

    def _take(self, talker: _Talker, now: float) -> None:
        if not self.exclusive or not self.heard:
            talker.since = now
