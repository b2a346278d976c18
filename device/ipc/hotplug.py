"""Detects newly connected cameras and sound cards, by their names in /dev and /sys. Looks only while one is absent."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_INTERVAL_S = 0.5
_NODES = ("video", "media")


def present(root: Path = Path("/")) -> frozenset[str]:
    """Return the names of the connected cameras and sound cards; a card's name includes its number and USB port."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found |= {entry for entry in os.listdir(root / "dev") if entry.startswith(_NODES)}  # noqa: PTH208 - cheap
    with contextlib.suppress(OSError):
        found |= {f"snd/{entry}" for entry in os.listdir(root / "dev/snd")}  # noqa: PTH208
    # Not /proc/asound: the unit's ProcSubset=pid hides it.
    for card in (root / "sys/class/sound").glob("card*"):
        with contextlib.suppress(OSError):
            name = (card / "id").read_text(errors="replace").strip()
            found.add(" ".join(filter(None, (card.name, name, _port(card)))))
    return frozenset(found)


def _port(card: Path) -> str:
    """Return where a card is connected, such as its USB port; a card at another port is another card."""
    try:
        return os.path.basename((card / "device").readlink())  # noqa: PTH119
    except OSError:
        return ""


async def wait_for_device(
    before: frozenset[str],
    *,
    within_s: float,
    root: Path = Path("/"),
    on_look: Callable[[], None] = lambda: None,
) -> bool:
    """Wait for a device that is not in `before`, or that is connected again. Return False if there is none in time.

    `on_look` is called before each look.
    """
    deadline = asyncio.get_running_loop().time() + within_s
    while (left_s := deadline - asyncio.get_running_loop().time()) > 0:
        on_look()
        connected = present(root)
        if connected - before:
            return True
        before &= connected
        await asyncio.sleep(min(POLL_INTERVAL_S, left_s))
    return False
