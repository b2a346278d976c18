"""Keeps the persisted changes of the running configuration on the disk."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import structlog

from device.config import remote_changes
from device.config.layer import LayerKind, changes_of
from device.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from device.config.layer import Layer

log = structlog.get_logger()


class Overrides:
    """The file with persisted changes; without a state directory there is none."""

    def __init__(self, file: Path | None) -> None:
        self.file = file

    @classmethod
    def of_environment(cls, configuration: Path) -> Overrides:
        return cls(remote_changes.find(configuration, os.environ))

    def demand(self) -> None:
        """Raise CallError if nothing can be persisted here."""
        if self.file is None:
            raise CallError("this daemon has no state directory, so nothing can be persisted; set without persist")
        if not os.access(self.file.parent, os.W_OK):
            raise CallError(f"{self.file.parent} cannot be written, so nothing can be persisted; set without persist")

    async def save(self, layers: Sequence[Layer]) -> None:
        """Write the persisted changes among layers. Raises CallError; then the file is as it was."""
        if self.file is not None:
            await asyncio.to_thread(remote_changes.write, self.file, changes_of(layers, LayerKind.REMOTE))

    async def restore(self, layers: Sequence[Layer]) -> None:
        """Write them as they were before a change, if the disk allows."""
        try:
            await self.save(layers)
        except CallError as error:
            log.error("config.not_restored", problem=str(error))  # noqa: TRY400 - the text is all
