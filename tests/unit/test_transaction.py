"""Several files are replaced as one: real files, a real SIGKILL before each system call."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device import transaction
from device.transaction import Recovery, TransactionError, recover, replace_all
from tests.support.killed import killed_at_each_step

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD = {"device.toml": b"old", "secrets/key": b"old key", "secrets/token": b"old token"}
NEW = {"device.toml": b"new", "secrets/key": b"new key", "secrets/headers": b"new headers"}
CHANGES: dict[str, bytes | None] = {**NEW, "secrets/token": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    put(tmp_path, OLD)
    return tmp_path


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    for path in (each for each in folder.rglob("*") if each.is_file()):
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    staging = folder / ".staging"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and staging not in path.parents
    }


def change(folder: Path, changes: Mapping[str, bytes | None] = CHANGES) -> None:
    files = {folder / name: content for name, content in changes.items()}
    modes = {path: 0o600 if path.parent.name == "secrets" else 0o644 for path in files}
    replace_all(files, modes=modes, staging=folder / ".staging")


def test_all_files_are_new_with_their_modes_and_nothing_else_is_left(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        change(folder)
    finally:
        os.umask(before)
    assert contents(folder) == NEW
    assert not (folder / ".staging").exists()
    assert stat.S_IMODE((folder / "device.toml").stat().st_mode) == 0o644
    assert stat.S_IMODE((folder / "secrets/key").stat().st_mode) == 0o600


def test_what_is_to_be_removed_need_not_be_there(folder: Path) -> None:
    (folder / "secrets/token").unlink()
    change(folder)
    assert contents(folder) == NEW


def test_killed_before_any_system_call_the_files_are_old_or_a_journal_makes_them_new(folder: Path) -> None:
    staging = folder / ".staging"

    def prepare() -> None:
        recover(staging)
        put(folder, OLD)

    seen = set()
    for call in killed_at_each_step(lambda: change(folder), prepare):
        committed = (staging / "journal").exists()
        after_kill = contents(folder)
        recovery = recover(staging)
        seen.add((call, recovery))
        assert contents(folder) in (OLD, NEW), call
        if recovery is Recovery.FINISHED:
            assert committed
            assert contents(folder) == NEW
        else:  # nothing was done, or all of it
            assert not committed
            assert contents(folder) == after_kill
        if recovery is Recovery.UNDONE:
            assert after_kill == OLD
        assert not staging.exists()
    assert contents(folder) == NEW
    assert {recovery for _, recovery in seen} == set(Recovery)
    assert {"replace", "unlink", "fsync", "mkdir", "rmdir", "fchmod"} <= {call for call, _ in seen}


def test_a_recovery_that_is_killed_is_finished_by_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = folder / ".staging"

    def prepare() -> None:
        recover(staging)
        put(folder, OLD)
        with monkeypatch.context() as patched:
            patched.setattr(transaction, "_apply", lambda _staging: None)
            change(folder)
        assert (staging / "journal").exists()
        assert contents(folder) == OLD

    steps = 0
    for call in killed_at_each_step(lambda: recover(staging), prepare):
        recover(staging)
        assert contents(folder) == NEW, call
        steps += 1
    assert steps > 5


def test_the_next_change_finishes_an_interrupted_one_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(transaction, "_apply", lambda _staging: None)
        change(folder)
    change(folder, {"device.toml": b"newer"})
    assert contents(folder) == {**NEW, "device.toml": b"newer"}


def test_contents_and_names_are_synced_before_the_journal_appears_and_before_it_goes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power may fail at any moment: what is not synced may then be missing, in any order."""
    done: list[tuple[str, str]] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def synced(descriptor: int) -> None:
        done.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(f"{folder}")))
        fsync(descriptor)

    def moved(source: Path, target: Path) -> None:
        done.append(("move", str(target).removeprefix(f"{folder}")))
        replace(source, target)

    def removed(path: Path) -> None:
        done.append(("remove", str(path).removeprefix(f"{folder}")))
        unlink(path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", moved)
    monkeypatch.setattr(os, "unlink", removed)
    change(folder)
    commit, end = done.index(("move", "/.staging/journal")), done.index(("remove", "/.staging/journal"))
    staged = {("sync", f"/.staging/{number}") for number in range(len(NEW))} | {("sync", "/.staging/journal.new")}
    assert staged | {("sync", "/.staging"), ("sync", "")} <= set(done[:commit])
    assert done[commit + 1] == ("sync", "/.staging")
    assert {("sync", ""), ("sync", "/secrets"), ("remove", "/secrets/token")} <= set(done[commit + 2 : end])


def test_what_would_stop_half_way_is_refused_before(folder: Path) -> None:
    (folder / "secrets/headers").mkdir()
    with pytest.raises(TransactionError, match="secrets/headers: is a folder; allowed is a file"):
        change(folder)
    (folder / "secrets/headers").rmdir()
    with pytest.raises(TransactionError, match="nowhere: No such file or directory"):
        change(folder, {"device.toml": b"new", "nowhere/key": b"new"})
    assert contents(folder) == OLD
    assert not (folder / ".staging").exists()


def test_another_file_system_is_refused(folder: Path) -> None:
    with pytest.raises(TransactionError, match="is on another file system"):
        replace_all(
            {folder / "device.toml": b"new", (other := folder / "/dev/shm/livekit-device-test"): b"new"},
            modes={folder / "device.toml": 0o644, other: 0o600},
            staging=folder / ".staging",
        )
    assert contents(folder) == OLD


def test_a_full_disk_leaves_the_old_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransactionError, match="No space left on device"):
        change(folder)
    assert contents(folder) == OLD
    assert not (folder / ".staging").exists()


def test_an_error_after_the_commit_is_finished_by_the_next_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def fails_for_the_key(source: Path, target: Path) -> None:
        if target.name == "key":
            raise OSError(5, "Input/output error", str(target))
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fails_for_the_key)
        with pytest.raises(TransactionError, match="secrets/key: Input/output error"):
            change(folder)
    assert recover(folder / ".staging") is Recovery.FINISHED
    assert contents(folder) == NEW


def test_a_damaged_journal_is_named(folder: Path) -> None:
    (folder / ".staging").mkdir()
    (folder / ".staging/journal").write_text("{")
    with pytest.raises(TransactionError, match="journal: is damaged"):
        change(folder)
    assert contents(folder) == OLD


def test_two_changes_wait_for_each_other(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    second = threading.Thread(target=change, args=(folder,), name="second change")
    second.start()
    second.join(0.2)
    assert second.is_alive()
    assert contents(folder) == OLD
    os.close(lock)
    second.join(10)
    assert contents(folder) == NEW


def test_a_link_is_replaced_and_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"elsewhere")
    (folder / "device.toml").unlink()
    (folder / "device.toml").symlink_to(tmp_path / "elsewhere")
    change(folder)
    assert (tmp_path / "elsewhere").read_bytes() == b"elsewhere"
    assert (folder / "device.toml").read_bytes() == b"new"
    assert not (folder / "device.toml").is_symlink()
