"""Cameras and sound cards that are connected and disconnected, in a fake /dev and /sys."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from device.ipc import hotplug

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADPHONES, MICROPHONE = {0: "Headphones"}, {1: "Device"}
NONE: dict[int, str] = {}


class Board:
    """A device tree in which devices are connected."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dev/snd").mkdir(parents=True)
        (root / "sys/class/sound/timer").mkdir(parents=True)
        for name in ("null", "tty0", "ttyUSB0", "dev-video", "sda"):
            (root / "dev" / name).touch()

    def plug(self, *nodes: str) -> None:
        for node in nodes:
            (self.root / "dev" / node).touch()

    def unplug(self, *nodes: str) -> None:
        for node in nodes:
            (self.root / "dev" / node).unlink()

    def cards(self, cards: dict[int, str]) -> None:
        """Create these sound cards, by number."""
        for card in (self.root / "sys/class/sound").glob("card*"):
            shutil.rmtree(card)
        for number, name in cards.items():
            card = self.root / f"sys/class/sound/card{number}"
            card.mkdir()
            (card / "id").write_text(f"{name}\n")


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setattr(hotplug, "LOOK_S", 0.01)
    return Board(tmp_path)


def appeared(board: Board, *, within_s: float = 20.0, acts: tuple[Callable[[], None], ...] = ()) -> bool:
    """Wait for an appearance while these changes happen, one per poll."""

    async def main() -> bool:
        waiting = asyncio.create_task(
            hotplug.appearance(hotplug.present(board.root), within_s=within_s, root=board.root)
        )
        for act in acts:
            await asyncio.sleep(0.2)
            assert not waiting.done()
            act()
        return await waiting

    return asyncio.run(main())


def test_only_cameras_and_sound_cards_are_listed(board: Board) -> None:
    assert hotplug.present(board.root) == frozenset()
    board.plug("video0", "video11", "media2", "snd/controlC0", "snd/pcmC0D0c")
    board.cards(HEADPHONES)
    assert hotplug.present(board.root) == {
        "video0",
        "video11",
        "media2",
        "snd/controlC0",
        "snd/pcmC0D0c",
        "card0 Headphones",
    }


def test_a_board_without_any_of_it(tmp_path: Path) -> None:
    assert hotplug.present(tmp_path) == frozenset()
    assert hotplug.present(tmp_path / "none") == frozenset()


def test_a_card_whose_name_is_no_text(board: Board) -> None:
    board.cards(MICROPHONE)
    (board.root / "sys/class/sound/card1/id").write_bytes(b"\xff\xfe\n")
    assert len(hotplug.present(board.root)) == 1


def test_the_real_system_can_be_listed() -> None:
    assert all(isinstance(name, str) for name in hotplug.present())


def test_a_card_that_disappears_during_the_listing_is_ignored(board: Board) -> None:
    (board.root / "sys/class/sound/card7").mkdir()
    assert hotplug.present(board.root) == frozenset()


def test_a_camera_appears(board: Board) -> None:
    assert appeared(board, acts=(lambda: board.plug("video0"),))


def test_a_microphone_appears_under_its_name_before_it_has_a_node(board: Board) -> None:
    board.cards(HEADPHONES)
    assert appeared(board, acts=(lambda: board.cards(HEADPHONES | MICROPHONE),))


def test_a_card_of_the_same_name_under_another_number_is_an_appearance(board: Board) -> None:
    board.cards(MICROPHONE)
    assert appeared(board, acts=(lambda: board.cards({2: "Device"}),))


def test_a_device_that_appeared_before_the_wait_is_reported_at_once(board: Board) -> None:
    before = hotplug.present(board.root)
    board.plug("media0")
    assert asyncio.run(hotplug.appearance(before, within_s=1, root=board.root))


def test_under_the_same_number_again_is_an_appearance(board: Board) -> None:
    board.plug("video0", "snd/controlC1")
    board.cards(MICROPHONE)
    assert appeared(board, acts=(lambda: board.unplug("video0"), lambda: board.plug("video0")))
    assert appeared(board, acts=(lambda: board.cards(NONE), lambda: board.cards(MICROPHONE)))


def test_a_device_that_disappears_is_not_an_appearance(board: Board) -> None:
    board.plug("video0", "snd/controlC1")
    board.cards(HEADPHONES | MICROPHONE)
    going = (
        lambda: board.unplug("video0"),
        lambda: board.cards(HEADPHONES),
        lambda: board.unplug("snd/controlC1"),
        lambda: board.cards(NONE),
        lambda: board.plug("ttyUSB1"),
    )
    assert not appeared(board, within_s=3, acts=going)


def test_a_device_tree_that_appears_late(tmp_path: Path) -> None:
    async def main() -> bool:
        waiting = asyncio.create_task(hotplug.appearance(frozenset(), within_s=20, root=tmp_path))
        await asyncio.sleep(0.1)
        Board(tmp_path).plug("snd/pcmC1D0c")
        return await waiting

    assert asyncio.run(main())


def test_a_timeout_of_zero_does_not_wait(board: Board) -> None:
    assert not appeared(board, within_s=0)
    assert not appeared(board, within_s=-1)


def test_a_card_of_the_same_name_and_number_at_another_port_is_an_appearance(board: Board) -> None:
    def connect(place: str) -> None:
        link = board.root / "sys/class/sound/card1/device"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../../{place}")

    board.cards(MICROPHONE)
    connect("1-1.2:1.0")
    assert appeared(board, acts=(lambda: connect("1-1.3:1.0"),))
