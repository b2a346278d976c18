"""Upgrade, downgrade, remove, purge, and installed again: what stays, what goes, and when the picture is back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from device.lifecycle.not_set_up import STATUS
from tests.install.box import COMMAND, ETC, LIVE, STATE, UNIT, Box
from tests.install.picture import changed, nobody, seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.install.conftest import Record
    from tests.install.packages import Package
    from tests.support.livekit_server import Server

BACK_S = 5.0
KEPT = (ETC, STATE, "/etc/machine-id")
OURS = (COMMAND, "/usr/lib/livekit-device", f"/usr/lib/systemd/system/{UNIT}", "/run/livekit-device")
OWN = f"{STATE}/own-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """A machine with the package set up and live, and its identity in the room."""

    box: Box
    server: Server
    room: str
    identity: str


@pytest.fixture
def publishing(installed: Box, livekit_server: Server, room: str) -> Iterator[Publishing]:
    """Set up the installed package, with a file of the operator's own in the service's folder."""
    installed.configure(livekit_server, room)
    start = f"touch {OWN} && chown livekit-device: {OWN} && systemctl restart {UNIT}"
    sight = seen(livekit_server, room, lambda: installed.type(start))
    installed.until_status(LIVE)
    yield Publishing(box=installed, server=livekit_server, room=room, identity=sight.identity)
    assert not installed.try_out("dpkg --audit").stdout


def test_upgrade_and_downgrade_keep_everything_and_the_picture_is_soon_back(
    publishing: Publishing, package: Package, later: Package, record: Record
) -> None:
    box, server, room = publishing.box, publishing.server, publishing.room
    box.machine.install({f"/root/{later.path.name}": later.path.read_bytes()})
    before = box.fingerprint(*KEPT)
    changes = changed(
        server,
        room,
        lambda: box.type(f"apt install ./{later.path.name}"),
        lambda: box.type(f"apt install --allow-downgrades ./{package.path.name}"),
    )
    box.until_status(LIVE)
    after = box.fingerprint(*KEPT)
    record(
        f"upgrade to {later.version} and back with a picture running: longest time without a picture",
        ", ".join(f"{each.gap_s:.1f} s" for each in changes),
        must=f"at most {BACK_S:g} s each",
        ok=all(each.gap_s <= BACK_S for each in changes),
    )
    record(
        "upgrade and downgrade: versions that the room saw; identities; configuration, credentials, state",
        f"{[each.versions for each in changes]}; {len({name for each in changes for name in each.identities})}; "
        f"{'the same' if after == before else 'changed'}, {len(before.splitlines())} lines",
        must="each version; one, as before; the same",
        ok=[each.versions for each in changes] == [[package.version, later.version], [later.version, package.version]]
        and {name for each in changes for name in each.identities} == {publishing.identity}
        and after == before
        and OWN in before,
    )


def test_remove_keeps_the_configuration_and_installing_again_brings_the_picture_back(
    publishing: Publishing, package: Package, record: Record
) -> None:
    box, server, room = publishing.box, publishing.server, publishing.room
    before = box.fingerprint(ETC, STATE)
    box.type("apt remove livekit-device")
    kept, left, state = box.fingerprint(ETC, STATE), box.exists(*OURS), box.unit("LoadState", "ActiveState")
    gone = nobody(server, room)
    sight = seen(server, room, lambda: box.type(f"apt install ./{package.path.name}"))
    record(
        "remove: configuration, credentials, state; files of the package; its unit; the room",
        f"{'kept' if kept == before else 'changed'}; {left or 'gone'}; {', '.join(state)}; "
        f"{'empty' if gone else 'occupied'}",
        must="kept; gone; not running; empty",
        ok=kept == before and not left and state[1] == "inactive" and gone,
    )
    record(
        "installed again after remove: the picture, without another word; enabled; identity",
        f"{sight}; {box.is_enabled()}; {'the same' if sight.identity == publishing.identity else sight.identity}",
        must="picture and sound; enabled; the same",
        ok=sight.sound and box.is_enabled() == "enabled" and sight.identity == publishing.identity,
    )


def test_purge_removes_configuration_credentials_and_state_and_installing_again_starts_from_nothing(
    publishing: Publishing, package: Package, record: Record
) -> None:
    box, server, room = publishing.box, publishing.server, publishing.room
    box.type("apt purge livekit-device")
    left, state = box.exists(*OURS, ETC, STATE), box.unit("LoadState", "ActiveState")
    named = box.type("find /etc /var/lib /run /usr -xdev -name '*livekit*' -not -path '/usr/local/*'").split()
    gone = nobody(server, room)
    box.type(f"apt install ./{package.path.name}")
    again = box.is_enabled(), *box.unit("ActiveState"), box.status()

    def set_up() -> None:
        box.configure(server, room)
        box.machine.systemctl("restart", UNIT)

    sight = seen(server, room, set_up)
    record(
        "purge: configuration, credentials, state, files of the package; whatever has its name; the unit; the room",
        f"{left or 'gone'}; {named or 'nothing'}; {', '.join(state)}; {'empty' if gone else 'occupied'}",
        must="gone; nothing; not-found, inactive; empty",
        ok=not left and not named and state == ("not-found", "inactive") and gone,
    )
    record(
        "installed again after purge: the service; set up again: the picture",
        f"{', '.join(again)}; {sight}",
        must=f"enabled, active, {STATUS}; picture and sound",
        ok=again == ("enabled", "active", STATUS) and sight.sound,
    )
