"""Reads packets in a thread of its own, and keeps the latest: a slow encoder costs pictures, not delay."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class Latest(Generic[T]):
    """Iterates over what an iterator yields in a thread; an item that nobody took before the next is dropped.

    The iterator's exception is raised in the consumer's thread. `dropped` counts, without those that have waited since
    before the start: the consumer finds them when it has its first item.
    """

    def __init__(self, items: Iterator[T], *, name: str) -> None:
        self._items = items
        self._changed = threading.Condition()
        self._item: T | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self._taken = 0
        self.dropped = 0
        # A daemon thread: a driver may never return from a read, and the end of the process ends that.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __iter__(self) -> Iterator[T]:
        self._thread.start()
        while True:
            with self._changed:
                while self._item is None and self._failure is None:
                    self._changed.wait()
                item, self._item = self._item, None
                self._taken += 1
            if item is None:
                assert self._failure is not None
                raise self._failure
            yield item

    def close(self) -> None:
        """End the thread after its next item."""
        self._closed = True

    def _run(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self.dropped += self._item is not None and self._taken > 1
                    self._item = item
                    self._changed.notify()
                if self._closed:
                    return
        except BaseException as error:  # raised where it is expected  # noqa: BLE001
            with self._changed:
                self._failure = error
                self._changed.notify()
