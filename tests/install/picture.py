"""What a viewer of the room sees while something is done to the machine."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.watcher import Watcher, watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.livekit_server import Server

PICTURES = 20  # that many with a readable strip are a picture
_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The first picture came after `first_s`; `gap_s` is the longest time without one from then on."""

    first_s: float
    size: tuple[int, int]
    sound: bool
    identity: str
    attributes: dict[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]}{' and sound' if self.sound else ''} after {self.first_s:.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What of a change reached a viewer: `gap_s` without a picture, and who published before and after."""

    gap_s: float
    identities: list[str]
    versions: list[str]


def seen(server: Server, room: str, act: Callable[[], object], *, within_s: float = _WITHIN_S) -> Sight:
    """Watch a room while something is done that brings picture and sound into it."""

    async def watch() -> Sight:
        async with watching(server, room) as watcher:
            began = time.monotonic()
            await asyncio.to_thread(act)
            await _until_readable(watcher, since=began, within_s=within_s)
            first = next(each for each in watcher.pictures if each.reading)
            (who,) = watcher.room.remote_participants.values()
            return Sight(
                first_s=first.at - began,
                size=(first.width, first.height),
                sound=bool(watcher.sound),
                identity=who.identity,
                attributes=dict(who.attributes),
            )

    return asyncio.run(watch())


def changed(server: Server, room: str, *acts: Callable[[], object], within_s: float = _WITHIN_S) -> list[Change]:
    """Watch a room with a picture in it while one thing after another is done."""

    async def watch() -> list[Change]:
        changes = []
        async with watching(server, room) as watcher:
            await _until_readable(watcher, since=0.0, within_s=within_s)
            for act in acts:
                began = time.monotonic()
                before = _who(watcher)
                await asyncio.to_thread(act)
                await _until_readable(watcher, since=time.monotonic(), within_s=within_s)
                after = _who(watcher)
                moments = [each.at for each in watcher.pictures if each.reading and each.at > began - 1]
                changes.append(
                    Change(
                        gap_s=max(later - earlier for earlier, later in pairwise(moments)),
                        identities=[before[0], after[0]],
                        versions=[before[1], after[1]],
                    )
                )
        return changes

    return asyncio.run(watch())


def nobody(server: Server, room: str, *, within_s: float = 10.0) -> bool:
    """Say whether a room becomes, or is, empty but for the viewer."""

    async def watch() -> bool:
        async with watching(server, room, identity="caretaker") as watcher:
            await watcher.until(lambda: not watcher.room.remote_participants, within_s=within_s, what="an empty room")
            return True

    return asyncio.run(watch())


async def _until_readable(watcher: Watcher, *, since: float, within_s: float) -> None:
    sound = len(watcher.sound)
    await watcher.until(
        lambda: (
            sum(each.at > since and each.reading is not None for each in watcher.pictures) >= PICTURES
            and len(watcher.sound) > sound + PICTURES
        ),
        within_s=within_s,
        what="picture and sound",
    )


def _who(watcher: Watcher) -> tuple[str, str]:
    (who,) = watcher.room.remote_participants.values()
    return who.identity, who.attributes.get("device.version", "")
