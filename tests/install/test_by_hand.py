"""The package on a machine where livekit-device was installed by hand: migrated or named, and never beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.install.box import LIVE, UNIT, Box
from tests.install.by_hand import OPT, all_daemons, install_by_hand
from tests.install.picture import changed, seen

if TYPE_CHECKING:
    from tests.install.conftest import Record
    from tests.install.packages import Package
    from tests.support.livekit_server import Server

BY_HAND = f"{OPT}/bin/python3 {OPT}/bin/livekit-device run"
PACKAGED = "/usr/lib/livekit-device/bin/python3 /usr/bin/livekit-device run"
HAND_MADE = f"/etc/systemd/system/{UNIT}"
SHIPPED = f"/usr/lib/systemd/system/{UNIT}"
OTHER = "front-door.service"


def test_an_unchanged_unit_makes_way_for_the_package_which_goes_on_with_its_configuration(
    box: Box, package: Package, livekit_server: Server, room: str, record: Record
) -> None:
    _publish_by_hand(box, package, livekit_server, room, unit=UNIT)
    printed = ""

    def install() -> None:
        nonlocal printed
        printed = box.type(f"apt install ./{package.path.name}")

    with all_daemons(box) as found:
        (change,) = changed(livekit_server, room, install)
    aside = box.exists(HAND_MADE, f"{HAND_MADE}.before-package")
    record(
        "installed over a hand-made unit: what ran, one after another; the unit in force; the hand-made one",
        f"{[sorted(each) for each in found]}; {box.unit('FragmentPath')[0]}, {box.is_enabled()}; {aside}",
        must="never two; the package's, enabled; moved aside",
        ok=all(len(each) <= 1 for each in found)
        and found[-1] == {PACKAGED}
        and {BY_HAND} in found
        and (*box.unit("FragmentPath"), box.is_enabled()) == (SHIPPED, "enabled")
        and aside == [f"{HAND_MADE}.before-package"],
    )
    record(
        "installed over a hand-made unit with a picture running: the picture; what the package says",
        f"after {change.gap_s:.1f} s; {[line for line in printed.splitlines() if line.startswith('livekit-device: ')]}",
        must="back, the same identity; the unit and /opt/livekit-device are named",
        ok=len(set(change.identities)) == 1
        and f"{HAND_MADE} was installed by hand" in printed
        and f"rm -r {OPT}" in printed,
    )


def test_an_edited_unit_stays_in_force_and_is_named(
    box: Box, package: Package, livekit_server: Server, room: str, record: Record
) -> None:
    _publish_by_hand(box, package, livekit_server, room, unit=UNIT, edit="[Service]\nNice=5\n")
    with all_daemons(box) as found:
        printed = box.type(f"apt install ./{package.path.name}")
        box.until_status(LIVE)
    record(
        "installed over an edited unit: what ran, one after another; the unit in force; what the package says",
        f"{[sorted(each) for each in found]}; {box.unit('FragmentPath')[0]}; "
        f"{[line for line in printed.splitlines() if HAND_MADE in line]}",
        must="never two, the hand-made one at last; the edited one; it is named",
        ok=all(len(each) <= 1 for each in found)
        and found[-1] == {BY_HAND}
        and box.unit("FragmentPath") == (HAND_MADE,)
        and f"{HAND_MADE} was installed by hand, differs from the package's file and stays active" in printed,
    )


def test_beside_a_service_of_another_name_the_package_does_not_start_and_says_what_to_do(
    box: Box, package: Package, livekit_server: Server, room: str, record: Record
) -> None:
    _publish_by_hand(box, package, livekit_server, room, unit=OTHER)
    with all_daemons(box) as found:
        printed = box.type(f"apt install ./{package.path.name}")
        after = box.unit("ActiveState"), box.machine.show(OTHER, "ActiveState")
    record(
        "installed beside a service of another name: what ran; the package's service, the other; what is said",
        f"{[sorted(each) for each in found]}; {after[0][0]}, {after[1]}; "
        f"{[line for line in printed.splitlines() if OTHER in line]}",
        must="the other alone; inactive, active; the other is named",
        ok=found == [{BY_HAND}] and after == (("inactive",), "active") and f"livekit-device: {OTHER};" in printed,
    )
    (advice,) = (line for line in printed.splitlines() if OTHER in line)
    box.type(f"systemctl disable --now {OTHER}")
    sight = seen(livekit_server, room, lambda: box.type(advice.rpartition("then run: ")[2]))
    record(
        "the other disabled, and what the package said run: what runs; the picture",
        f"{sorted(box.daemons())}; {sight}",
        must="the package alone; picture and sound",
        ok=box.daemons() == {PACKAGED} and sight.sound,
    )


def _publish_by_hand(box: Box, package: Package, server: Server, room: str, *, unit: str, edit: str = "") -> None:
    """Install by hand, and wait for its picture."""
    install_by_hand(box, package, unit=unit, edit=edit)
    box.configure(server, room)
    seen(server, room, lambda: box.type(f"systemctl enable --now {unit}"))
