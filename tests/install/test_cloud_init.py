"""A fresh card that nobody logs in to: docs/install-boot.md word for word, with Debian's cloud-init."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.install.box import LIVE, Box
from tests.install.card import FIRMWARE, LOG, NAME
from tests.install.document import blocks
from tests.install.network import give_network
from tests.install.picture import seen
from tests.install.recipes import with_cloud_init
from tests.install.repository import repository
from tests.lab.root import built_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.install.conftest import Record
    from tests.install.packages import Package
    from tests.support.livekit_server import Server

PAGE = "docs/install-boot.md"
CARD, REPOSITORY = "A fresh card without a login", "With a repository instead of a .deb"
# What Raspberry Pi OS has in its image: where cloud-init looks. The machine has the host's network, so it sets up none.
IMAGE = f"""
datasource_list: [NoCloud, None]
datasource: {{NoCloud: {{seedfrom: "file://{FIRMWARE}/"}}}}
network: {{config: disabled}}
"""
META_DATA = "instance-id: rpios-image\n"
FIRST_START_S = 240.0
# cloud-init hands it to netplan, here in a folder of its own: the names of the interfaces, and of the Wi-Fi's network.
NETPLAN = f"""
install -D -m 600 {FIRMWARE}/network-config /tmp/plan/etc/netplan/50-cloud-init.yaml
netplan generate --root-dir /tmp/plan 2>/dev/null && cd /tmp/plan/run
sed -n 's/^Name=//p' systemd/network/*.network; grep -o 'ssid=.*' netplan/wpa-wlan0.conf
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Which `user-data` of the page, and the file that it installs from."""

    user_data: str
    source: Path


@pytest.fixture(params=(CARD, REPOSITORY), ids=("package", "repository"))
def case(request: pytest.FixtureRequest, package: Package, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    text = blocks(PAGE, request.param, "yaml")[0]
    if request.param == CARD:
        yield Case(user_data=text, source=package.path)
        return
    with repository(package, monkeypatch) as offered:
        yield Case(user_data=text, source=offered.sources)


@contextmanager
def first_start(case: Case, boot_file: str) -> Iterator[Box]:
    """Write the card, and boot it for the first time. Debian's image is read by the machine, as a Pi reads its card."""

    def write_card(root: Path) -> None:
        give_network(root)
        (root / "etc/cloud/cloud.cfg.d/99-image.cfg").write_text(IMAGE)
        firmware = root / FIRMWARE.removeprefix("/")
        firmware.mkdir(parents=True)
        network = blocks(PAGE, CARD, "yaml")[1]
        files = {"meta-data": META_DATA, "user-data": case.user_data, "network-config": network, NAME: boot_file}
        for name, text in files.items():
            (firmware / name).write_text(text)
        (firmware / case.source.name).write_bytes(case.source.read_bytes())

    with Box(built_root(with_cloud_init()), prepare=write_card, up_within_s=FIRST_START_S) as box:
        yield box


@pytest.mark.timeout(400)
def test_the_files_of_the_page_end_in_a_picture(case: Case, livekit_server: Server, room: str, record: Record) -> None:
    began = time.monotonic()
    with first_start(case, _boot_file(livekit_server, room)) as box:
        up_s = time.monotonic() - began  # with runcmd, which is a part of the start
        done = box.try_out("cloud-init status --long").stdout
        sight = seen(livekit_server, room, lambda: None)
        box.until_status(LIVE)
        schema = box.try_out(f"cloud-init schema --config-file {FIRMWARE}/user-data").stdout.strip()
        plan = box.try_out(NETPLAN).stdout.strip()
        left = sorted(set(box.type(f"ls {FIRMWARE}").split()) & {LOG, NAME})
    record(
        f"cloud-init with {case.source.name} on the card: seconds from power to the picture; cloud-init; the card",
        f"{up_s + sight.first_s:.0f} s, {sight.size[0]}x{sight.size[1]}{' and sound' if sight.sound else ''}; "
        f"{_field(done, 'status')}, errors {_field(done, 'errors')}; {left}",
        must="picture and sound; done, errors []; the log without the file",
        ok=sight.sound and (_field(done, "status"), _field(done, "errors"), left) == ("done", "[]", [LOG]),
    )
    record(
        "the page's user-data by cloud-init's own schema; what netplan makes of its network-config",
        f"{schema}; {', '.join(plan.splitlines())}",
        must="valid; both interfaces, and the network's name in wpa_supplicant's file",
        ok=schema.startswith("Valid schema")
        and {"eth0", "wlan0", 'ssid=P"NAME OF THE NETWORK"'} <= set(plan.splitlines()),
    )


def _boot_file(server: Server, room: str) -> str:
    """Return the page's file with this server, this room, its key, and what stands in for camera and microphone."""
    (text,) = blocks(PAGE, CARD, "toml")
    for key, value in {
        "url": server.url,
        "name": room,
        "api_key": server.api_key,
        "api_secret": server.api_secret,
    }.items():
        text, count = re.subn(rf'^{key} = ".*"$', f'{key} = "{value}"', text, flags=re.MULTILINE)
        assert count == 1, key
    return f'{text}\n[camera]\nsource = "pattern"\n[microphone]\nsource = "tone"\n'


def _field(text: str, name: str) -> str:
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(f"{name}:")), "")
