"""Hands the units of one stream to its consumers. A consumer that fails never affects another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import structlog

from device.log_throttle import LogThrottle

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

UnitT = TypeVar("UnitT")
UnitT_contra = TypeVar("UnitT_contra", contravariant=True)


class Consumer(Protocol[UnitT_contra]):
    """Takes units on the event loop; neither method may block."""

    def deliver(self, unit: UnitT_contra) -> None:
        """Take one access unit or block of sound."""

    def worker_started(self) -> None:
        """Send a new worker the settings that this consumer needs."""


class Fanout(Generic[UnitT]):
    """The consumers of one stream. They may come and go while it runs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._essential: tuple[Consumer[UnitT], ...] = ()
        self._others: tuple[Consumer[UnitT], ...] = ()
        self._throttle = LogThrottle()

    def add(self, consumer: Consumer[UnitT], *, essential: bool = False) -> None:
        """Hand each unit to this consumer as well.

        The errors of an essential one are raised, after all other consumers had the unit; those of others are logged.
        """
        if essential:
            self._essential = (*self._essential, consumer)
        else:
            self._others = (*self._others, consumer)

    def remove(self, consumer: Consumer[UnitT]) -> None:
        """Hand this consumer no more units."""
        self._essential = tuple(each for each in self._essential if each is not consumer)
        self._others = tuple(each for each in self._others if each is not consumer)

    def deliver(self, unit: UnitT) -> None:
        """Hand one unit to each consumer."""
        self._call(lambda each: each.deliver(unit))

    def worker_started(self) -> None:
        """Let each consumer send a new worker its settings."""
        self._call(lambda each: each.worker_started())

    def _call(self, call: Callable[[Consumer[UnitT]], None]) -> None:
        try:
            for each in self._essential:
                call(each)
        finally:
            for each in self._others:
                try:
                    call(each)
                except Exception as error:  # it must not affect the others  # noqa: BLE001
                    self._log_failure(type(each).__name__, error)

    def _log_failure(self, consumer: str, error: Exception) -> None:
        if times := self._throttle.count_to_log(f"{consumer} {type(error).__name__}", time.monotonic()):
            log.error("stream.consumer_failed", stream=self._name, consumer=consumer, times=times, exc_info=error)
