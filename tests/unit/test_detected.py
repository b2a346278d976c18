"""What is remembered of this box: whether a stream ever had a device, and a generated identity."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from device import state_directory
from device.identity import derived_identity, identity_may_be_shared, keep_identity
from device.ipc.detected import NAME, Detected

if TYPE_CHECKING:
    from pathlib import Path


def written(detected: Detected, name: str) -> None:
    """Add a name, and wait until it is on the disk."""
    detected.add(name)
    for thread in threading.enumerate():
        if thread.name == "detected":
            thread.join()


def test_what_was_detected_is_known_after_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / NAME
    first = Detected(path, writes_to=path)
    assert not first.has("camera")
    written(first, "camera")
    written(first, "microphone")
    assert first.has("camera")
    assert [Detected(path).has(name) for name in ("camera", "microphone", "garden")] == [True, True, False]
    assert [each.name for each in tmp_path.iterdir()] == [NAME]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("content", ("", "{", "[1]", '{"camera": true}', "[" * 4000, "\udcff"))
def test_a_file_that_cannot_be_read_counts_as_detected_and_stays(tmp_path: Path, content: str) -> None:
    path = tmp_path / NAME
    path.write_bytes(content.encode(errors="surrogateescape"))
    before = path.read_bytes()
    detected = Detected(path, writes_to=path)
    assert detected.has("camera")
    written(detected, "microphone")
    assert path.read_bytes() == before


@pytest.mark.parametrize("make", (os.mkdir, os.mkfifo))
def test_something_else_than_a_file_counts_as_detected(tmp_path: Path, make: object) -> None:
    make(tmp_path / NAME)  # type: ignore[operator]
    assert Detected(tmp_path / NAME).has("camera")


def test_without_a_state_directory_it_lasts_as_long_as_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(state_directory, "SERVICE_STATE", tmp_path)
    detected = Detected.of_service(keeps=True)
    written(detected, "camera")
    assert detected.has("camera")
    assert list(tmp_path.iterdir()) == []


def test_check_reads_and_does_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/elsewhere")
    written(Detected.of_service(keeps=False), "camera")
    assert list(tmp_path.iterdir()) == []
    written(Detected.of_service(keeps=True), "camera")
    assert Detected.of_service(keeps=False).has("camera")


def test_a_disk_that_cannot_be_written_is_survived(tmp_path: Path) -> None:
    detected = Detected(tmp_path / "away" / NAME, writes_to=tmp_path / "away" / NAME)
    written(detected, "camera")
    assert detected.has("camera")


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "identity"
    state_directory.replace(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        state_directory.replace(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["identity"]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a board without any number of its own, whose service has a state directory."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("uninitialized\n")
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path


def test_an_identity_is_generated_once(bare: Path) -> None:
    assert identity_may_be_shared(bare)
    keep_identity(bare)
    first = derived_identity(bare)
    keep_identity(bare)
    assert derived_identity(bare) == first
    assert not identity_may_be_shared(bare)
    (bare / "state/identity").unlink()
    keep_identity(bare)
    assert derived_identity(bare) != first


def test_a_machine_id_goes_before_a_generated_identity(bare: Path) -> None:
    keep_identity(bare)
    generated = derived_identity(bare)
    (bare / "etc/machine-id").write_text("0123456789abcdef0123456789abcdee\n")
    assert derived_identity(bare) != generated


def test_nothing_is_generated_if_it_is_not_needed(bare: Path) -> None:
    (bare / "etc/machine-id").write_text("0123456789abcdef0123456789abcdee\n")
    keep_identity(bare)
    assert list((bare / "state").iterdir()) == []


def test_without_a_state_directory_it_is_the_hosts_name(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY")
    keep_identity(bare)
    assert identity_may_be_shared(bare)


def test_check_by_hand_finds_the_services_identity(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_identity(bare)
    service = derived_identity(bare)
    monkeypatch.delenv("STATE_DIRECTORY")
    (bare / "var/lib").mkdir(parents=True)
    (bare / "state").rename(bare / "var/lib/livekit-device")
    assert derived_identity(bare) == service


@pytest.mark.parametrize("content", ("", "device-", "device-0123456789abcdef\nx", "../../etc"))
def test_a_damaged_identity_is_generated_anew(bare: Path, content: str) -> None:
    (bare / "state/identity").write_text(content)
    assert identity_may_be_shared(bare)
    keep_identity(bare)
    assert not identity_may_be_shared(bare)
