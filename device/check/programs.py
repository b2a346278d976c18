"""Whether the programs of commands can be run here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from device.config.effective import Command


def missing_programs(commands: Mapping[str, Command]) -> Iterator[str]:
    """Yield a text for each command whose program this process cannot execute. It may be installed later."""
    for name, command in commands.items():
        program = Path(command.run[0])
        if not program.is_file():
            yield f"commands.{name}.run: there is no program {program} that the service sees"
        elif not os.access(program, os.X_OK):
            yield f"commands.{name}.run: {program} is not executable for this user"
