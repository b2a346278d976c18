"""Access to Debian's packages as this host has it, for the machines whose scenario is online."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.root import way_to_mirrors

if TYPE_CHECKING:
    from pathlib import Path


def give_network(root: Path) -> None:
    """Write what apt needs into a root that has not booted yet."""
    for name, content in way_to_mirrors().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
