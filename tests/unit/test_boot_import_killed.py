"""The import is killed with SIGKILL before each of its system calls on files; the next run finishes it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.card import GOOD, SECRET, Card
from tests.support.killed import killed_at_each_step

if TYPE_CHECKING:
    from pathlib import Path

OLD = {
    "device.toml": b'[room]\nurl = "wss://old.example"\nname = "old"\n',
    "credentials/token": b"old",
    "credentials/api_key": b"old",
}


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card.of(tmp_path)


def settle(card: Card) -> None:
    shutil.rmtree(card.etc, ignore_errors=True)
    (card.etc / "credentials").mkdir(parents=True)
    for name, text in OLD.items():
        (card.etc / name).write_bytes(text)
    (card.firmware / "livekit-device.log").write_text("an older log\n")
    card.put()


def imported(card: Card) -> dict[str, bytes]:
    settle(card)
    assert card.run() == 0
    return card.state()


def test_killed_at_any_step_the_state_is_old_or_new_and_the_next_run_finishes(card: Card) -> None:
    new = imported(card)
    assert set(new) == {"device.toml", "credentials/api_key", "credentials/api_secret"}
    path, staging = card.firmware / "livekit-device.toml", card.etc / ".transaction"
    seen = set()
    for call in killed_at_each_step(card.run, lambda: settle(card)):
        committed = (staging / "journal").exists()
        state = {name: text for name, text in card.state().items() if not name.startswith(".transaction/")}
        assert committed or state in (OLD, new), call
        source = path.read_bytes() if path.exists() else b""
        if state != new and not committed:
            assert source == GOOD.encode(), "the file is touched only after all of it has been imported"
        seen.add((call, committed, state == new, source in (GOOD.encode(), b"")))
        assert SECRET not in card.log()
        assert card.run() == 0
        assert card.state() == new, call
        assert not path.exists()
        assert not staging.exists()
        assert "was imported" in card.log() or "contained only zeros" in card.log()
    # It was killed before the commit, after it, with all files new, and with a file of zeros.
    assert {(committed, whole) for _, committed, whole, _ in seen} == {
        (False, False),
        (True, False),
        (True, True),
        (False, True),
    }
    assert any(not untouched for *_, untouched in seen)


def test_what_was_killed_after_the_commit_is_finished_although_the_file_is_gone(card: Card) -> None:
    """The partition may be missing at the next start, or the card's owner may have removed the file."""
    new = imported(card)
    finished = 0
    for call in killed_at_each_step(card.run, lambda: settle(card)):
        committed = (card.etc / ".transaction/journal").exists()
        (card.firmware / "livekit-device.toml").unlink(missing_ok=True)
        assert card.run() == 0
        assert card.state() in ((new,) if committed else (OLD, new)), call
        finished += committed
    assert finished > 5
