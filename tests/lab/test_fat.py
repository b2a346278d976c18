"""The import from a real FAT file system, mounted through FUSE: no links, no modes, names in any letter case."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.conftest import Record
from tests.support.card import GOOD, SECRET, Card

SIZE = 40 << 20  # the least that FAT32 needs, with clusters of one sector


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "boot.img"
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(("mkfs.vfat", "-F", "32", "-s", "1", str(path)), check=True, capture_output=True)
    return path


def names_in(card: Card) -> list[str]:
    return sorted(path.name for path in card.firmware.iterdir())


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[None]:
    subprocess.run(("fusefat", "-o", "rw+,nonempty", str(image), str(folder)), check=True, capture_output=True)
    assert folder.is_mount()
    try:
        yield
    finally:
        subprocess.run(("umount", str(folder)), check=True)


@pytest.mark.parametrize("name", ("livekit-device.toml", "LiveKit-Device.TOML.txt"))
def test_nothing_of_a_secret_is_left_on_the_partition(tmp_path: Path, image: Path, name: str, record: Record) -> None:
    card = Card.of(tmp_path)
    with mounted(image, card.firmware):
        card.put(name=name)
    before = SECRET.encode() in image.read_bytes()
    with mounted(image, card.firmware):
        code = card.run()
        names = names_in(card)
    after = SECRET.encode() in image.read_bytes()
    check = subprocess.run(("fsck.vfat", "-n", str(image)), capture_output=True, text=True, check=False)
    record(
        f"boot partition: {name} is imported from FAT; names there; its secret in the raw image before and after; fsck",
        f"exit {code}; {names}; {before}, {after}; {check.returncode}",
        must="0; the log alone; True, False; 0",
        ok=(code, names, before, after, check.returncode) == (0, ["livekit-device.log"], True, False, 0)
        and card.state()["credentials/api_secret"] == f"{SECRET}\n".encode(),
    )


def test_a_mistake_stays_on_the_partition_with_its_log(tmp_path: Path, image: Path, record: Record) -> None:
    card = Card.of(tmp_path)
    with mounted(image, card.firmware):
        card.put(GOOD.replace("15", "0"))
        codes = card.run(), card.run()
    with mounted(image, card.firmware):
        names, log = names_in(card), card.log()
    record(
        "boot partition: a mistake in the file on FAT, twice; names there",
        f"exit {codes}; {names}; {log.splitlines()[-1]}",
        must="78; the file and the log, which names the key",
        ok=codes == (78, 78) and len(names) == 2 and "camera.fps" in log and SECRET not in log,
    )


def test_two_names_that_differ_by_an_ending_are_named(tmp_path: Path, image: Path, record: Record) -> None:
    card = Card.of(tmp_path)
    with mounted(image, card.firmware):
        card.put()
        card.put(name="Livekit-Device.TOML.txt")
        code, log = card.run(), card.log()
    record(
        "boot partition: two files on FAT",
        f"exit {code}; {log.splitlines()[-1]}",
        must="78; both are named",
        ok=code == 78 and "livekit-device.toml" in log and "Livekit-Device.TOML.txt" in log,
    )
