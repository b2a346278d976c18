"""A boot partition and an /etc of a test's own, and what imports from one into the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.boot.importer import Places, import_boot

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "zq7-a-secret-of-thirty-two-characters"
GOOD = f"""\
# my first device: {SECRET}
[room]
url = "wss://room.example"
name = "front-door"

[credentials]
api_key = "APIk3y"
api_secret = "{SECRET}"

[camera]
fps = 15
"""
# As on any board that keeps what is written.
LASTING = "27 1 254:0 / / rw,relatime - ext4 /dev/mmcblk0p2 rw,discard\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """`firmware` is the boot partition, `etc` the folder of the configuration."""

    firmware: Path
    etc: Path
    mountinfo: Path
    in_container: bool = False

    @classmethod
    def of(cls, folder: Path) -> Card:
        card = cls(firmware=folder / "firmware", etc=folder / "livekit-device", mountinfo=folder / "mountinfo")
        card.firmware.mkdir()
        (card.firmware / "config.txt").write_text("dtparam=audio=on\n")
        card.mountinfo.write_text(LASTING)
        return card

    def put(self, content: str | bytes = GOOD, name: str = "livekit-device.toml") -> Path:
        path = self.firmware / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self) -> int:
        return import_boot(
            Places(
                folders=[self.firmware],
                configuration=self.etc / "device.toml",
                mountinfo=self.mountinfo,
                in_container=self.in_container,
            )
        )

    def log(self) -> str:
        path = self.firmware / "livekit-device.log"
        return path.read_text() if path.exists() else ""

    def state(self) -> dict[str, bytes]:
        """Return what the device has: each file below `etc`."""
        return {str(path.relative_to(self.etc)): path.read_bytes() for path in self.etc.rglob("*") if path.is_file()}
