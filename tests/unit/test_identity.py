"""Identity and model of a board, read from fake device trees."""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING

import pytest

from device.identity import board_model, derived_identity, identity_may_be_shared

if TYPE_CHECKING:
    from pathlib import Path

TREE = "sys/firmware/devicetree/base"
MACHINE_ID = "0123456789abcdef0123456789abcdef"


def board(root: Path, **files: bytes) -> Path:
    places = {
        "model": f"{TREE}/model",
        "serial": f"{TREE}/serial-number",
        "product": "sys/class/dmi/id/product_name",
        "machine_id": "etc/machine-id",
    }
    for name, content in files.items():
        path = root / places[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_a_pi(tmp_path: Path) -> None:
    root = board(
        tmp_path,
        model=b"Raspberry Pi 4 Model B Rev 1.4\0",
        serial=b"10000000a1b2c3d4\0",
        machine_id=MACHINE_ID.encode() + b"\n",
        product=b"other\n",
    )
    assert board_model(root) == "Raspberry Pi 4 Model B Rev 1.4"
    assert derived_identity(root) == "device-10000000a1b2c3d4"


def test_leading_zeros_are_left_out(tmp_path: Path) -> None:
    assert derived_identity(board(tmp_path, serial=b"00000000a1b2c3d4\0")) == "device-a1b2c3d4"


@pytest.mark.parametrize("serial", (b"0000000000000000\0", b"\0", b"", b" \n"))
def test_a_placeholder_serial_falls_back_to_the_machine_id(tmp_path: Path, serial: bytes) -> None:
    identity = derived_identity(board(tmp_path, serial=serial, machine_id=MACHINE_ID.encode()))
    assert re.fullmatch(r"device-[0-9a-f]{16}", identity)


@pytest.mark.parametrize(
    "serial",
    (
        b"default\0",
        b"1234567890\0",
        b"0123456789\0",
        b"0123456789ABCDEF\0",
        b"None\0",
        b"!!\0",
        b"x\0",
        b"Default string\0",
        b"To be filled by O.E.M.\0",
        b"To-Be-Filled-By-OEM\0",
        b"System_Serial_Number\0",
        b"Not-Specified\0",
        b"ffffffffffffffff\0",
        b"XXXXXXXX\0",
        b"0000-0000-0000\0",
        b"\xff" * 16,
    ),
)
def test_a_serial_that_firmware_never_set_is_not_used(tmp_path: Path, serial: bytes) -> None:
    identity = derived_identity(board(tmp_path, serial=serial, machine_id=MACHINE_ID.encode()))
    assert re.fullmatch(r"device-[0-9a-f]{16}", identity)


@pytest.mark.parametrize("machine_id", (b"uninitialized\n", b"", b"\n", b"0" * 32, b"xyz", MACHINE_ID.encode()[:31]))
def test_an_invalid_machine_id_is_not_used(tmp_path: Path, machine_id: bytes) -> None:
    root = board(tmp_path, machine_id=machine_id)
    assert derived_identity(root) == f"device-{platform.node()}"
    assert identity_may_be_shared(root)


def interface(root: Path, name: str, address: str, *, assigned: str = "0", real: bool = True) -> None:
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True)
    (folder / "address").write_text(f"{address}\n")
    (folder / "addr_assign_type").write_text(f"{assigned}\n")
    if real:
        (folder / "device").mkdir()


def test_without_other_ids_the_network_card_makes_the_identity_unique(tmp_path: Path) -> None:
    identities = set()
    for number in range(2):
        root = board(tmp_path / str(number), machine_id=b"uninitialized\n")
        interface(root, "lo", "00:00:00:00:00:00", real=False)
        interface(root, "veth1", f"aa:bb:cc:00:00:0{number}", assigned="1")
        interface(root, "docker0", f"02:42:00:00:00:0{number}", real=False)
        assert identity_may_be_shared(root)
        interface(root, "eth0", f"dc:a6:32:00:00:0{number}")
        assert not identity_may_be_shared(root)
        identities.add(derived_identity(root))
    assert len(identities) == 2
    assert all(re.fullmatch(r"device-[0-9a-f]{16}", each) for each in identities)


def test_a_pc_has_a_stable_unique_hash_of_its_machine_id(tmp_path: Path) -> None:
    identities = set()
    for number in range(2):
        root = board(tmp_path / str(number), machine_id=MACHINE_ID.replace("0", str(number)).encode() + b"\n")
        assert derived_identity(root) == derived_identity(root)
        assert not any(MACHINE_ID[start : start + 6] in derived_identity(root) for start in range(20))
        identities.add(derived_identity(root))
    assert len(identities) == 2
    product = board(tmp_path / "pc", product=b"ThinkPad X1\n")
    assert board_model(product) == "ThinkPad X1"


def test_without_any_id_the_host_name_is_used(tmp_path: Path) -> None:
    assert derived_identity(tmp_path) == f"device-{platform.node()}"
    assert board_model(tmp_path) == platform.machine()
    assert derived_identity(board(tmp_path, machine_id=b"")) == f"device-{platform.node()}"


def test_invalid_bytes_and_long_values_are_handled(tmp_path: Path) -> None:
    root = board(tmp_path, model=b"\xff" * 9 + b"x" * 5000)
    assert len(board_model(root)) <= 64


def test_a_folder_in_place_of_a_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / TREE / "model").mkdir(parents=True)
    (tmp_path / TREE / "serial-number").mkdir()
    assert board_model(tmp_path) == platform.machine()
    assert derived_identity(tmp_path)


def test_the_chosen_network_card_does_not_depend_on_other_cards(tmp_path: Path) -> None:
    interface(tmp_path, "eth0", "dc:a6:32:00:00:07")
    alone = derived_identity(tmp_path)
    usb = tmp_path / "sys/devices/pci0/usb1/1-1/1-1:1.0"
    usb.mkdir(parents=True)
    interface(tmp_path, "eth1", "00:00:5e:00:53:01", real=False)
    (tmp_path / "sys/class/net/eth1/device").symlink_to(usb)
    interface(tmp_path, "wlan0", "00:00:5e:00:53:02")
    (tmp_path / "sys/class/net/wlan0/phy80211").mkdir()
    (tmp_path / "sys/class/net/wlan0/phy80211/macaddress").write_text("00:00:5e:00:53:02\n")
    assert derived_identity(tmp_path) == alone


def test_a_wireless_card_has_its_permanent_address(tmp_path: Path) -> None:
    identities = set()
    for number, current in enumerate(("02:11:11:11:11:11", "02:22:22:22:22:22")):
        root = tmp_path / str(number)
        interface(root, "wlan0", current, assigned="3")  # a network manager has set a random one
        assert identity_may_be_shared(root)
        (root / "sys/class/net/wlan0/phy80211").mkdir()
        (root / "sys/class/net/wlan0/phy80211/macaddress").write_text("dc:a6:32:00:00:08\n")
        identities.add(derived_identity(root))
    assert len(identities) == 1


def test_a_kernel_that_does_not_say_how_an_address_was_assigned(tmp_path: Path) -> None:
    interface(tmp_path, "eth0", "dc:a6:32:00:00:09")
    (tmp_path / "sys/class/net/eth0/addr_assign_type").unlink()
    assert not identity_may_be_shared(tmp_path)
