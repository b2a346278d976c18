"""A configuration on the boot partition, as people write it on any computer, imported by the installed units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.install.box import ETC, LIVE, UNIT, Box
from tests.install.card import IMPORT, LOG, NAME, Card, boot_file
from tests.install.picture import changed, seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.install.conftest import Record
    from tests.install.packages import Package
    from tests.support.livekit_server import Server

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A machine with the package, a boot partition, and a room for its picture."""

    box: Box
    card: Card
    server: Server
    room: str

    def file(self, identity: str) -> str:
        return boot_file(self.server, self.room, identity=identity)

    def restart(self) -> None:
        self.box.type(f"systemctl restart {UNIT}")


@pytest.fixture(scope="module")
def booted(ready_root: Path, package: Package) -> Iterator[tuple[Box, Card]]:
    with Box(ready_root, package.path) as box:
        box.type(f"apt install ./{package.path.name}")
        yield box, Card(box)


@pytest.fixture
def device(booted: tuple[Box, Card], livekit_server: Server, room: str) -> Device:
    return Device(box=booted[0], card=booted[1], server=livekit_server, room=room)


@pytest.mark.parametrize("name", (NAME, f"{NAME}.txt", "LiveKit-Device.TOML", "LIVEKIT-DEVICE.TOML.TXT"))
@pytest.mark.parametrize("windows", (False, True), ids=("", "bom-crlf"))
def test_a_file_on_a_read_only_boot_partition_becomes_a_picture(
    device: Device, record: Record, name: str, *, windows: bool
) -> None:
    box, card, text = device.box, device.card, device.file(f"card-{name}")
    card.lay(BOM + text.replace("\n", "\r\n").encode() if windows else text.encode(), name=name)
    sight = seen(device.server, device.room, device.restart)
    box.until_status(LIVE)
    told = card.log() + box.type(f"journalctl --unit={IMPORT}")
    modes = [line.removeprefix(f"{ETC}/") for line in box.fingerprint(ETC).splitlines() if line.startswith(f"{ETC}/")]
    record(
        f"boot file {name}{', BOM and CRLF' if windows else ''}, partition read-only: the picture; what is left; /etc",
        f"{sight}; {card.names()}, {'read-only' if card.is_read_only() else 'writable'}; {', '.join(modes)}",
        must="picture and sound; the log alone, read-only; 644, and 600 for secrets",
        ok=sight.sound
        and sight.identity == f"card-{name}"
        and (card.names(), card.is_read_only()) == ([LOG], True)
        and modes
        == [
            "credentials 700 root root",
            "credentials/api_key 600 root root",
            "credentials/api_secret 600 root root",
            "device.toml 644 root root",
        ]
        and device.server.api_secret not in told,
    )


def quoted_by_a_word_processor(text: str) -> str:
    return text.replace('name = "', "name = \u201c", 1)


def with_hooks(text: str) -> str:
    return f'{text}[hooks]\nlive = "reboot"\n'


def with_a_file_of_the_device(text: str) -> str:
    return re.sub(r"api_key = .*\napi_secret = .*", 'token_file = "/etc/shadow"', text)


def with_a_wrong_value(text: str) -> str:
    return text.replace("[camera]", "[camera]\nfps = 0")


@pytest.mark.parametrize(
    ("mistaken", "words"),
    (
        (quoted_by_a_word_processor, "is a typographic quote"),
        (with_hooks, "hooks: is not allowed on the boot partition"),
        (with_a_file_of_the_device, "credentials.token_file: is not allowed on the boot partition"),
        (with_a_wrong_value, "camera.fps: is too small"),
    ),
)
def test_a_mistake_is_named_on_the_partition_and_the_old_picture_stays(
    device: Device, record: Record, mistaken: Callable[[str], str], words: str
) -> None:
    box, card = device.box, device.card
    box.configure(device.server, device.room)
    device.restart()
    before = box.fingerprint(ETC)
    card.lay(mistaken(device.file("card")).encode())
    (change,) = changed(device.server, device.room, device.restart)
    log, kept = card.log(), "as before" if box.fingerprint(ETC) == before else "CHANGED"
    told = log + box.type(f"journalctl --unit={IMPORT}")
    record(
        f"boot file {mistaken.__name__.replace('_', ' ')}: its log; the partition; configuration and picture",
        f"{log.splitlines()[-1]}; {sorted(card.names())}, {'read-only' if card.is_read_only() else 'writable'}; "
        f"{kept}, back after {change.gap_s:.1f} s",
        must=f"{words}; file and log, read-only; as before",
        ok=words in log
        and (sorted(card.names()), card.is_read_only(), kept) == ([LOG, NAME], True, "as before")
        and device.server.api_secret not in told,
    )
