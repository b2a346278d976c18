"""Cameras and sound cards that come and go, in a fake /dev and /proc."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from device.workers import plugging

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADPHONES = " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n                      bcm2835 Headphones\n"
MICROPHONE = (
    " 1 [Device         ]: USB-Audio - USB PnP Sound Device\n                      C-Media USB PnP Sound Device\n"
)
NONE = "--- no soundcards ---\n"


class Board:
    """A device tree to plug things into."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dev/snd").mkdir(parents=True)
        (root / "proc/asound").mkdir(parents=True)
        for name in ("null", "tty0", "ttyUSB0", "dev-video", "sda"):
            (root / "dev" / name).touch()
        self.cards(NONE)

    def plug(self, *nodes: str) -> None:
        for node in nodes:
            (self.root / "dev" / node).touch()

    def unplug(self, *nodes: str) -> None:
        for node in nodes:
            (self.root / "dev" / node).unlink()

    def cards(self, text: str) -> None:
        (self.root / "proc/asound/cards").write_text(text)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setattr(plugging, "LOOK_S", 0.01)
    return Board(tmp_path)


def appeared(board: Board, *, within_s: float = 20.0, acts: tuple[Callable[[], None], ...] = ()) -> bool:
    """Wait for an appearance while one thing after another happens, each seen by a look of its own."""

    async def main() -> bool:
        waiting = asyncio.create_task(
            plugging.appearance(plugging.present(board.root), within_s=within_s, root=board.root)
        )
        for act in acts:
            await asyncio.sleep(0.2)
            assert not waiting.done()
            act()
        return await waiting

    return asyncio.run(main())


def test_cameras_and_sound_cards_are_seen_and_nothing_else(board: Board) -> None:
    assert plugging.present(board.root) == frozenset()
    board.plug("video0", "video11", "media2", "snd/controlC0", "snd/pcmC0D0c")
    board.cards(HEADPHONES)
    assert plugging.present(board.root) == {
        "video0",
        "video11",
        "media2",
        "snd/controlC0",
        "snd/pcmC0D0c",
        *HEADPHONES.splitlines(),
    }


def test_a_board_without_any_of_it(tmp_path: Path) -> None:
    assert plugging.present(tmp_path) == frozenset()
    assert plugging.present(tmp_path / "none") == frozenset()


def test_a_card_whose_name_is_no_text(board: Board) -> None:
    (board.root / "proc/asound/cards").write_bytes(b" 1 [\xff\xfe]: USB-Audio\n")
    assert len(plugging.present(board.root)) == 1


def test_the_real_one_can_be_looked_at() -> None:
    assert all(isinstance(name, str) for name in plugging.present())


def test_a_camera_appears(board: Board) -> None:
    assert appeared(board, acts=(lambda: board.plug("video0"),))


def test_a_microphone_appears_under_its_name_before_it_has_a_node(board: Board) -> None:
    board.cards(HEADPHONES)
    assert appeared(board, acts=(lambda: board.cards(HEADPHONES + MICROPHONE),))


def test_a_card_of_the_same_name_under_another_number_is_an_appearance(board: Board) -> None:
    board.cards(MICROPHONE)
    assert appeared(board, acts=(lambda: board.cards(MICROPHONE.replace(" 1 [", " 2 [")),))


def test_what_came_before_the_wait_is_seen_at_once(board: Board) -> None:
    before = plugging.present(board.root)
    board.plug("media0")
    assert asyncio.run(plugging.appearance(before, within_s=1, root=board.root))


def test_under_the_same_number_again_is_an_appearance(board: Board) -> None:
    board.plug("video0", "snd/controlC1")
    board.cards(MICROPHONE)
    assert appeared(board, acts=(lambda: board.unplug("video0"), lambda: board.plug("video0")))
    assert appeared(board, acts=(lambda: board.cards(NONE), lambda: board.cards(MICROPHONE)))


def test_what_goes_is_no_appearance(board: Board) -> None:
    board.plug("video0", "snd/controlC1")
    board.cards(HEADPHONES + MICROPHONE)
    going = (
        lambda: board.unplug("video0"),
        lambda: board.cards(HEADPHONES),
        lambda: board.unplug("snd/controlC1"),
        lambda: board.cards(NONE),
        lambda: board.plug("ttyUSB1"),
    )
    assert not appeared(board, within_s=3, acts=going)


def test_a_tree_that_comes_late(tmp_path: Path) -> None:
    async def main() -> bool:
        waiting = asyncio.create_task(plugging.appearance(frozenset(), within_s=20, root=tmp_path))
        await asyncio.sleep(0.1)
        Board(tmp_path).plug("snd/pcmC1D0c")
        return await waiting

    assert asyncio.run(main())


def test_no_time_no_wait(board: Board) -> None:
    assert not appeared(board, within_s=0)
    assert not appeared(board, within_s=-1)
