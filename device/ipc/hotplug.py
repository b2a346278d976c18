"""Devices that come and go, by the names that the kernel gives them; looked at only while one is missed."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

LOOK_S = 0.5
_NODES = ("video", "media")


def present(root: Path = Path("/")) -> frozenset[str]:
    """Return what there is of cameras and sound cards, a card with its number and name."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found |= {entry for entry in os.listdir(root / "dev") if entry.startswith(_NODES)}  # noqa: PTH208 - cheap
    with contextlib.suppress(OSError):
        found |= {f"snd/{entry}" for entry in os.listdir(root / "dev/snd")}  # noqa: PTH208
    # Not /proc/asound: the unit's ProcSubset=pid hides it.
    for card in (root / "sys/class/sound").glob("card*"):
        with contextlib.suppress(OSError):
            name = (card / "id").read_text(errors="replace").strip()
            found.add(" ".join(filter(None, (card.name, name, _place(card)))))
    return frozenset(found)


def _place(card: Path) -> str:
    """Return where a card is connected, such as a USB port: another place is another card."""
    try:
        return os.path.basename((card / "device").readlink())  # noqa: PTH119
    except OSError:
        return ""


async def appearance(before: frozenset[str], *, within_s: float, root: Path = Path("/")) -> bool:
    """Wait until something is there that was not before, or was gone meanwhile; say whether it came in time."""
    give_up_at = asyncio.get_running_loop().time() + within_s
    while (left_s := give_up_at - asyncio.get_running_loop().time()) > 0:
        there = present(root)
        if there - before:
            return True
        before &= there
        await asyncio.sleep(min(LOOK_S, left_s))
    return False
