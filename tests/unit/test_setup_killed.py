"""Setup is killed or ended by a signal before each of its system calls on files; configuration and secrets match."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device.boot.importer import Places, import_boot
from device.cli import _parser
from device.config import writing
from device.errors import DeviceError
from device.setup import command
from device.setup.draft import FOLDER, private_folder
from tests.support.killed import killed_at_each_step

if TYPE_CHECKING:
    from collections.abc import Callable

OLD = {
    "device.toml": '# mine\n[room]\nurl = "wss://old.invalid"\n',
    "credentials/token": "old",
    "credentials/mine": "of another program",
    "more.d/a.toml": "of another program",
}
SECRET = "zq-a-secret-of-thirty-two-characters"


class Box:
    """A root folder with /etc, and the options that answer all questions."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.etc = root / "etc/livekit-device"
        self.staging = self.etc / ".transaction"
        self._secret = root / "secret"

    def settle(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        for name, text in OLD.items():
            (self.etc / name).parent.mkdir(parents=True, exist_ok=True)
            (self.etc / name).write_text(text)
        (self.etc / "credentials").chmod(0o700)
        self._secret.write_text(SECRET)

    def settle_fresh(self) -> None:
        self.settle()
        shutil.rmtree(self.etc)

    def setup(self) -> int:
        key = ("--api-key", "k", "--api-secret-file", str(self._secret))
        room = ("--url", "ws://127.0.0.1:9", "--room", "r", "--camera", "pattern", "--microphone", "off")
        options = (*room, *key, "--yes", "--no-check", "--no-start", "--root", str(self.root))
        return command.run(_parser().parse_args(["setup", *options]))

    def start_service(self) -> int:
        """Do what livekit-device-import.service does before the service starts."""
        return import_boot(Places(folders=[self.root / "boot"], configuration=self.etc / "device.toml"))

    def drafts(self) -> list[Path]:
        return list((self.root / FOLDER.relative_to("/")).glob("*"))

    def files(self) -> dict[str, str]:
        paths = [path for path in self.etc.rglob("*") if path.is_file() and self.staging not in path.parents]
        return {str(path.relative_to(self.etc)): path.read_text() for path in paths}


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box")


def new_state(box: Box, settle: Callable[[], None]) -> dict[str, str]:
    settle()
    assert box.setup() == 0
    new = box.files()
    assert 'url = "ws://127.0.0.1:9"' in new["device.toml"]
    assert new["credentials/api_secret"] == f"{SECRET}\n"
    return new


@pytest.mark.usefixtures("logging_restored")
def test_killed_at_any_step_the_state_is_old_or_new_and_the_service_or_the_next_setup_finishes_it(box: Box) -> None:
    new = new_state(box, box.settle)
    assert new.keys() - OLD.keys() == {"credentials/api_key", "credentials/api_secret"}
    assert OLD.keys() - new.keys() == {"credentials/token"}
    seen = set()
    for call in killed_at_each_step(box.setup, box.settle):
        committed = (box.staging / "journal").exists()
        after_kill = box.files()
        assert committed or after_kill in (OLD, new), call
        assert box.start_service() == 0
        assert box.files() == (new if committed or after_kill == new else OLD), call
        assert not box.staging.exists()
        assert box.setup() == 0
        assert box.files() == new
        assert box.drafts() == []
        seen.add((committed, after_kill == new))
    assert seen == {(False, False), (True, False), (True, True), (False, True)}


@pytest.mark.usefixtures("logging_restored")
def test_the_next_setup_finishes_an_interrupted_one_before_it_reads_the_configuration(box: Box) -> None:
    finished = 0
    for call in killed_at_each_step(box.setup, box.settle):
        if (box.staging / "journal").exists():
            # Without an answer about the token: it is the interrupted setup's.
            options = ("--yes", "--no-check", "--no-start", "--name", "Hall", "--root", str(box.root))
            assert command.run(_parser().parse_args(["setup", *options])) == 0, call
            assert 'display_name = "Hall"' in box.files()["device.toml"]
            assert box.files()["credentials/api_secret"] == f"{SECRET}\n"
            finished += 1
    assert finished > 5


@pytest.mark.usefixtures("logging_restored")
def test_a_kill_on_a_device_without_a_configuration_leaves_none_or_all_of_it(box: Box) -> None:
    new = new_state(box, box.settle_fresh)
    modes = {str(path.relative_to(box.etc)): path.stat().st_mode & 0o7777 for path in (box.etc, *box.etc.rglob("*"))}
    assert modes == {
        ".": 0o755,
        "credentials": 0o700,
        "credentials/api_key": 0o600,
        "credentials/api_secret": 0o600,
        "device.toml": 0o644,
    }
    seen = set()
    for call in killed_at_each_step(box.setup, box.settle_fresh):
        assert box.start_service() == 0
        assert box.files() in ({}, new), call
        seen.add(box.files() == new)
        assert box.setup() == 0
        assert box.files() == new
    assert seen == {False, True}


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), ids=lambda number: number.name)
@pytest.mark.usefixtures("logging_restored")
def test_a_signal_before_any_system_call_leaves_the_old_state_or_waits_for_the_new_one(box: Box, number: int) -> None:
    new = new_state(box, box.settle)
    code_path = box.root.parent / "code"

    def setup() -> None:
        code_path.write_text(str(box.setup()))

    ends = set()
    for call in killed_at_each_step(setup, box.settle, number=number):
        assert int(code_path.read_text()) == 128 + number, call
        assert box.files() in (OLD, new), call
        assert not box.staging.exists()
        assert box.drafts() == []
        ends.add(box.files() == new)
    assert ends == {False, True}


def test_two_setups_at_once_are_refused(tmp_path: Path) -> None:
    with (
        private_folder(tmp_path),
        pytest.raises(DeviceError, match="another setup is running"),
        private_folder(tmp_path),
    ):
        pytest.fail("it went on")


@pytest.mark.usefixtures("logging_restored")
def test_an_error_leaves_the_old_state(box: Box) -> None:
    box.settle()
    (box.etc / "credentials/api_key").mkdir()
    with pytest.raises(DeviceError, match=r"api_key: is a folder; .*; nothing was changed"):
        box.setup()
    assert box.files() == OLD
    assert not box.staging.exists()


@pytest.mark.usefixtures("logging_restored")
def test_an_error_after_the_commit_names_what_completes_the_change(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    new = new_state(box, box.settle)
    box.settle()
    replace = Path.replace

    def fails_for_the_key(source: Path, target: Path) -> Path:
        if target.name == "api_key":
            raise OSError(5, "Input/output error", str(target))
        return replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails_for_the_key)
        with pytest.raises(DeviceError, match="api_key: Input/output error; the next setup or start of the service"):
            box.setup()
    assert writing.is_unfinished(box.etc / "device.toml")
    assert box.start_service() == 0
    assert box.files() == new


@pytest.mark.usefixtures("logging_restored")
def test_a_folder_that_is_a_link_stays_one(box: Box) -> None:
    box.settle_fresh()
    (box.root / "data").mkdir()
    box.etc.symlink_to(box.root / "data")
    assert box.setup() == 0
    assert box.etc.is_symlink()
    assert (box.root / "data/credentials/api_key").read_text() == "k\n"


@pytest.mark.usefixtures("logging_restored")
def test_without_an_etc_it_is_named(box: Box) -> None:
    box.settle_fresh()
    (box.root / "etc").rmdir()
    with pytest.raises(DeviceError, match="etc: there is no such folder"):
        box.setup()
