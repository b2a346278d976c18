"""The participant's attributes: what viewers and operators read of this device. Latest wins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from device.redaction import public_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Attributes:
    """A few short texts, by name. Setting them never blocks."""

    def __init__(self, **initial: str) -> None:
        self._values = {f"device.{key}": public_text(value) for key, value in initial.items()}
        self._changed = asyncio.Event()
        self._again = False

    def set(self, **values: str) -> None:
        """Set attributes by their names without the prefix `device.`."""
        self._set({f"device.{key}": public_text(value) for key, value in values.items()})

    def set_long(self, key: str, value: str, *, most_characters: int) -> None:
        """Set one attribute that may be longer than the others."""
        self._set({f"device.{key}": public_text(value, most_characters)})

    def _set(self, named: dict[str, str]) -> None:
        if self._values | named != self._values:
            self._values |= named
            self._changed.set()

    def repeat(self) -> None:
        """Yield all of them again, because a change may have been lost."""
        self._again = True
        self._changed.set()

    def snapshot(self) -> dict[str, str]:
        return dict(self._values)

    async def changes(self) -> AsyncIterator[dict[str, str]]:
        """Yield all of them now, and again after each change.

        A value that changed back is no change: the SDK would wait for seconds for the server's confirmation.
        """
        yielded: dict[str, str] = {}
        while True:
            self._changed.clear()
            if self._again or self._values != yielded:
                yielded, self._again = dict(self._values), False
                yield dict(yielded)
            await self._changed.wait()
