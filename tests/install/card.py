"""The boot partition of a machine: a file system of its own, read-only as people have it, and what lies on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.install.box import Box
    from tests.support.livekit_server import Server

IMPORT = "livekit-device-import.service"
FIRMWARE = "/boot/firmware"
NAME = "livekit-device.toml"
LOG = "livekit-device.log"


def boot_file(server: Server, room: str, *, identity: str) -> str:
    """Return a file as docs/install-boot.md has it, for a moving test picture and a tone."""
    tables = {
        "room": {"url": server.url, "name": room, "identity": identity},
        "credentials": {"api_key": server.api_key, "api_secret": server.api_secret},
        "camera": {"source": "pattern"},
        "microphone": {"source": "tone"},
    }
    return "\n".join(
        "".join((f"[{name}]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in table.items())))
        for name, table in tables.items()
    )


class Card:
    """Mounted in memory: a FAT file system needs a kernel with it."""

    def __init__(self, box: Box) -> None:
        self._box = box
        box.type(f"mkdir -p {FIRMWARE} && mount -t tmpfs -o ro card {FIRMWARE}")

    def lay(self, data: bytes, *, name: str = NAME) -> None:
        """Write a file, and nothing else, in another computer, as it were: the partition is read-only afterwards."""
        self._box.type(f"mount -o remount,rw {FIRMWARE} && rm -f {FIRMWARE}/*")
        self._box.machine.install({f"{FIRMWARE}/{name}": data})
        self._box.type(f"mount -o remount,ro {FIRMWARE}")

    def names(self) -> list[str]:
        return self._box.type(f"ls -A {FIRMWARE}").split()

    def log(self) -> str:
        return self._box.type(f"cat {FIRMWARE}/{LOG}")

    def is_read_only(self) -> bool:
        return "ro" in self._box.type(f"findmnt --noheadings --output OPTIONS {FIRMWARE}").strip().split(",")
