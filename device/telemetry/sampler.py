"""Asks the SDK for the statistics of one Room, once a second. Nobody else does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from device.redaction import redacted
from device.telemetry.transport_stats import TransportStats, is_active, read_stats, track_identifiers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from livekit import rtc

log = structlog.get_logger()

INTERVAL_S, CLOSE_INTERVAL_S = 1.0, 0.25
_ANSWER_S = 1.0
_MAX_ERROR = 200


class SampledTrack(Protocol):
    """What the sampler reads of a track; `fed` counts the units or blocks that the SDK was given."""

    fed: int

    @property
    def track(self) -> rtc.LocalVideoTrack | rtc.LocalAudioTrack: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The statistics of one moment (`at`, monotonic seconds), and by stream how much the SDK had been given by then."""

    stats: TransportStats
    fed: Mapping[str, int]
    at: float


class Sampler:
    """Samples one Room and hands each result to its `listeners`. `active` returns the tracks that viewers receive."""

    def __init__(self, room: rtc.Room, active: Callable[[], Sequence[SampledTrack]]) -> None:
        self.listeners: list[Callable[[Sample], None]] = []
        self.sampled = asyncio.Event()  # set after each sample, when the listeners have it
        self.for_viewers_only = False  # then what the SDK does not send, because nobody watches, does not count as fed
        self._room = room
        self._active = active
        self._interval_s = INTERVAL_S
        self._interval_changed = asyncio.Event()
        # Constant for the life of a LocalTrack: the SDK's statistics name a track by this identifier alone.
        self._names: dict[str, str] = {}

    async def run(self) -> None:
        """Sample until cancelled. A sample that the SDK does not answer within a second is left out."""
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            if (sample := await self._sample()) is not None:
                for each in self.listeners:
                    each(sample)
                self.sampled.set()
            while (left_s := began + self._interval_s - clock()) > 0:
                self._interval_changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await self._interval_changed.wait()

    def sample_closely(self, closely: bool) -> None:  # noqa: FBT001 - there is nothing else to say
        """Sample four times a second, or once again."""
        interval_s = CLOSE_INTERVAL_S if closely else INTERVAL_S
        if interval_s != self._interval_s:
            self._interval_s = interval_s
            self._interval_changed.set()

    async def active(self, track: SampledTrack) -> bool | None:
        """Ask at once whether the SDK sends a track; None if it does not say. It takes a part of a sample's time."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                return is_active(await track.track.get_stats())
        except Exception as error:  # the SDK raises no narrower type (livekit 1.2.1)  # noqa: BLE001
            log.debug("statistics.unanswered", track=track.track.name, error=type(error).__name__)
            return None

    async def _sample(self) -> Sample | None:
        fed = {each.track.name: each.fed for each in self._active()}
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._learn_names()
                statistics = await self._room.get_rtc_stats()
        except (TimeoutError, RuntimeError) as error:  # RuntimeError: the Room is not connected
            log.debug("statistics.unanswered", error=type(error).__name__)
            return None
        stats = read_stats(statistics.publisher_stats, self._names)
        if self.for_viewers_only:
            fed = {name: count for name, count in fed.items() if stats.active.get(name, True)}
        return Sample(stats=stats, fed=fed, at=time.monotonic())

    async def _learn_names(self) -> None:
        for each in self._active():
            if each.track.name in self._names.values():
                continue
            try:
                statistics = await each.track.get_stats()
            except Exception as error:  # the SDK raises no narrower type (livekit 1.2.1)  # noqa: BLE001
                # It is being published or unpublished; the next sample asks again.
                log.debug("statistics.track_unknown", track=each.track.name, error=redacted(str(error))[:_MAX_ERROR])
                continue
            for identifier in track_identifiers(statistics):
                self._names[identifier] = each.track.name
