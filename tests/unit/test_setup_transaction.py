"""The configuration is replaced in one step: whatever happens in it, the old state is there whole, or the new one."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device.setup import transaction
from device.setup.transaction import PUBLIC_MODE, SECRET_MODE, TransactionError, recover, staging

ROOT = Path(__file__).parents[2]
OLD = {"device.toml": "old", "credentials/token": "old token", "credentials/api_key": "kept", "more.d/a.toml": "kept"}
NEW = {
    "device.toml": "new",
    "credentials/api_key": "new key",
    "credentials/api_secret": "new secret",
    "more.d/a.toml": "kept",
}

# Makes the new state, and ends itself at one step as a power cut would; or by a signal, at another.
_PROGRAM = """
import os, signal, sys
from pathlib import Path
from device.setup import transaction
target, wanted, number, exchanges = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "exchange"
if not exchanges:
    transaction.exchange = lambda one, other: False
steps = 0
def on_step(step):
    global steps
    steps += 1
    if steps == wanted:
        os.kill(os.getpid(), number)
with transaction.staging(target, on_step=on_step) as stage:
    stage.begin()
    stage.write("device.toml", b"new", mode=0o644)
    stage.write("credentials/api_key", b"new key", mode=0o600)
    stage.write("credentials/api_secret", b"new secret", mode=0o600)
    stage.remove("credentials/token")
    stage.commit()
print(steps)
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "etc" / "livekit-device"
    for name, text in OLD.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "credentials").chmod(0o700)
    (folder / "link").symlink_to("/nowhere")
    return folder


def state(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def beside(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir()]


def child(target: Path, *, at_step: int, number: int = signal.SIGKILL, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(target), str(at_step), str(number), how],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("how", ("exchange", "one by one"))
def test_a_kill_at_any_step_leaves_the_old_state_or_the_new_one(target: Path, how: str) -> None:
    seen = []
    for step in range(1, 30):
        done = child(target, at_step=step, how=how)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        if how != "exchange":
            recover(target)
        now = state(target)
        assert now in (OLD, NEW)
        seen.append(now == NEW)
        with staging(target):  # what the killed one left behind is cleared
            assert state(target) == now
        assert beside(target) == ["livekit-device"]
        for name, text in OLD.items():
            (target / name).write_text(text)
        (target / "credentials/api_secret").unlink(missing_ok=True)
    else:
        pytest.fail("it never ended by itself")
    assert seen == sorted(seen)  # first old, then new
    assert True in seen
    assert False in seen
    assert state(target) == NEW
    assert (target / "link").is_symlink()
    assert (target / "credentials/api_secret").stat().st_mode & 0o7777 == SECRET_MODE
    assert (target / "credentials").stat().st_mode & 0o7777 == 0o700
    assert (target / "device.toml").stat().st_mode & 0o7777 == PUBLIC_MODE


@pytest.mark.parametrize("how", ("exchange", "one by one"))
def test_a_signal_waits_until_the_step_is_done(target: Path, how: str) -> None:
    ends = {}
    for step in range(1, 30):
        done = child(target, at_step=step, number=signal.SIGTERM, how=how)
        ends[step] = state(target)
        if done.returncode == 0:
            break
        assert ends[step] in (OLD, NEW)
        for name, text in OLD.items():
            (target / name).write_text(text)
        (target / "credentials/api_secret").unlink(missing_ok=True)
    assert NEW in ends.values()


def test_a_failure_leaves_the_old_state_and_nothing_else(target: Path) -> None:
    before = state(target)
    with contextlib.suppress(RuntimeError), staging(target) as stage:
        stage.begin()
        stage.write("device.toml", b"new", mode=PUBLIC_MODE)
        raise RuntimeError
    assert state(target) == before
    assert beside(target) == ["livekit-device"]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    target = tmp_path / "livekit-device"
    with staging(target) as stage:
        stage.begin()
        stage.write("credentials/token", b"t", mode=SECRET_MODE)
        stage.commit()
    assert state(target) == {"credentials/token": "t"}
    assert target.stat().st_mode & 0o7777 == 0o755


def test_files_that_stay_are_the_same_files(target: Path) -> None:
    before = (target / "more.d/a.toml").stat().st_ino
    with staging(target) as stage:
        stage.begin()
        stage.write("device.toml", b"new", mode=PUBLIC_MODE)
        stage.commit()
    assert (target / "more.d/a.toml").stat().st_ino == before


def test_two_at_once_are_refused(target: Path) -> None:
    with staging(target), pytest.raises(TransactionError, match="another setup is running"), staging(target):
        pass
    assert state(target) == OLD


def test_a_mount_point_is_filled_file_by_file(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links and renames do not lead out of it, so the new state is made in it; and it cannot be exchanged."""
    monkeypatch.setattr(transaction, "_is_mount_point", lambda _path: True)
    inode = target.stat().st_ino
    with staging(target) as stage:
        stage.begin()
        stage.write("device.toml", b"new", mode=PUBLIC_MODE)
        stage.remove("credentials/token")
        stage.commit()
    assert target.stat().st_ino == inode
    assert ".setup" not in beside(target / "x")
    kept = {name: text for name, text in OLD.items() if name != "credentials/token"}
    assert state(target) == kept | {"device.toml": "new"}


def test_a_mount_point_is_known() -> None:
    assert transaction._is_mount_point(Path("/proc"))
    assert not transaction._is_mount_point(ROOT / "device")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransactionError, match=r"cannot be written"), staging(tmp_path / "no" / "livekit-device"):
        pass
