"""The signed repository, online: docs/packages.md word for word on a minimal Debian, then an upgrade out of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from device.lifecycle.not_set_up import STATUS
from tests.install.box import LIVE, UNIT, Box
from tests.install.document import commands
from tests.install.network import give_network
from tests.install.picture import changed, seen
from tests.install.repository import Repository, repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.install.conftest import Record
    from tests.install.packages import Package
    from tests.support.livekit_server import Server

BACK_S = 5.0


@pytest.fixture
def online(bare_root: Path, package: Package, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Box, Repository]]:
    """Boot a minimal machine with this host's way to Debian's packages, and ours on a repository of its own."""
    with repository(package, monkeypatch) as offered, Box(bare_root, offered.sources, prepare=give_network) as box:
        yield box, offered


@pytest.mark.timeout(600)
def test_the_repository_installs_online_and_a_newer_version_in_it_is_an_upgrade(
    online: tuple[Box, Repository], later: Package, livekit_server: Server, room: str, record: Record
) -> None:
    box, offered = online
    steps = [each for each in commands("docs/packages.md", "Publish a repository") if each.startswith("sudo")]
    assert len(steps) == 2
    took_s: list[float] = []
    before = ""

    def install() -> None:
        nonlocal before
        began = time.monotonic()
        for step in steps:
            box.type(step)
        took_s.append(time.monotonic() - began)
        before = f"{box.is_enabled()}; {box.status()}"
        box.configure(livekit_server, room)
        box.machine.systemctl("restart", UNIT)

    sight = seen(livekit_server, room, install)
    number = len(box.type("dpkg-query --show --showformat='${Package}\\n'").split())
    record(
        "signed repository on a minimal Debian, online: time; the service after it",
        f"{took_s[0]:.0f} s, {number} packages then; {before}",
        must=f"enabled; {STATUS}",
        ok=before == f"enabled; {STATUS}",
    )
    record(
        "from `apt install` to the picture, online from a near mirror, with the configuration written at once",
        f"{sight.first_s / 60:.1f} minutes; {sight}",
        must="below 10; picture and sound",
        ok=sight.first_s < 600 and sight.sound,
    )
    offered.add(later)
    (change,) = changed(livekit_server, room, lambda: box.type("apt update && apt upgrade"))
    box.until_status(LIVE)
    record(
        "a newer version in the repository, `apt upgrade` with a picture running: versions; without a picture",
        f"{change.versions}; {change.gap_s:.1f} s",
        must=f"both; at most {BACK_S:g} s",
        ok=change.versions[1] == later.version and change.gap_s <= BACK_S,
    )
