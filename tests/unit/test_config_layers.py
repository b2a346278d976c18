"""The layers of the configuration: what wins, where relative paths point, and how a broken layer is reported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from device.config import loading, remote_changes
from device.config.diff import entries
from device.config.layer import origin, overridden
from device.config.places import DEFAULT_PATH
from device.errors import ConfigError
from device.unit_directories import SERVICE_STATE

if TYPE_CHECKING:
    from pathlib import Path

MAIN = '[room]\nurl = "wss://room.example"\n[camera]\nsource = "pattern"\nfps = 10\nwidth = 640\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "device.toml"
    path.parent.mkdir()
    path.write_text(MAIN)
    return path


def drop_in(path: Path, name: str, text: str) -> Path:
    folder = path.parent / "device.toml.d"
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def state(path: Path, text: str) -> dict[str, str]:
    """Write remote changes; return the environment of a service that has them."""
    folder = path.parent.parent / "state"
    folder.mkdir(exist_ok=True)
    (folder / remote_changes.NAME).write_text(text)
    return {"STATE_DIRECTORY": str(folder)}


def problems(path: Path, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loading.loaded(path, environment or {})
    return [str(each) for each in caught.value.problems]


def test_the_last_layer_wins_key_by_key(path: Path) -> None:
    drop_in(path, "20-site.toml", "[camera]\nfps = 12\nheight = 480\n")
    drop_in(path, "10-fleet.toml", "[camera]\nfps = 11\n[camera.controls]\nContrast = 1.5\n")
    environment = state(path, "[camera]\nfps = 13\nwidth = 320\n[camera.controls]\nContrast = 2.0\nGamma = 1\n")
    found = loading.loaded(path, environment | {"DEVICE_CAMERA__FPS": "14"})
    camera = found.config.camera
    assert (camera.fps, camera.height, camera.width) == (14, 480, 320)
    assert camera.controls == {"Contrast": 2.0, "Gamma": 1}
    assert found.warnings == ()

    def where(*key: str) -> str:
        layer = origin(found.layers, key)
        return layer.place(key).replace(str(path.parent.parent), "") if layer else "default"

    assert where("camera", "fps") == "environment: DEVICE_CAMERA__FPS"
    assert where("camera", "width") == "/state/overrides.toml: camera.width"
    assert where("camera", "height") == "/etc/device.toml.d/20-site.toml: camera.height"
    assert where("camera", "source") == "/etc/device.toml: camera.source"
    assert where("camera", "device") == "default"


def test_other_files_in_the_folder_are_ignored(path: Path) -> None:
    for name in (".hidden.toml", "10-fleet.toml~", "README", "off.toml.disabled"):
        drop_in(path, name, "this is no TOML")
    assert loading.loaded(path, {}).config.camera.fps == 10


def test_relative_paths_are_relative_to_their_own_file(path: Path) -> None:
    drop_in(path, "10.toml", '[camera]\nsource = "file"\npath = "film.mp4"\n[cameras.b]\nsource = "pattern"\n')
    drop_in(path, "20.toml", '[cameras.c]\nsource = "file"\npath = "../c.mp4"\n[credentials]\ntoken_file = "/t"\n')
    found = loading.loaded(path, {"DEVICE_MICROPHONE__SOURCE": "file", "DEVICE_MICROPHONE__PATH": "a.wav"}).config
    assert found.camera.path == str(path.parent / "device.toml.d/film.mp4")
    assert found.cameras["c"].path == str(path.parent / "device.toml.d/../c.mp4")
    assert found.credentials.token_file == "/t"
    assert found.microphone.path == str(path.parent / "a.wav")


def test_all_problems_of_all_files_are_reported_with_their_file(path: Path) -> None:
    one = drop_in(path, "10.toml", '[camera]\nfps = "12"\nwidht = 3\n')
    two = drop_in(path, "20.toml", "[camera]\nheight = 7\n[cammera]\nx = 1\n")
    assert problems(path, {"DEVICE_CAMERA__WIDTH": "many"}) == [
        f"{one}: camera.fps: must be a whole number",
        f"{one}: camera.widht: there is no such key; did you mean width?",
        f"{two}: camera.height: is too small; allowed: 120 or more",
        f"{two}: cammera: there is no such table; did you mean camera?",
        "environment: DEVICE_CAMERA__WIDTH: must be a whole number",
    ]


def test_a_wrong_value_that_a_later_layer_replaces_is_no_problem(path: Path) -> None:
    drop_in(path, "10.toml", '[camera]\nfps = "12"\n')
    drop_in(path, "20.toml", "[camera]\nfps = 12\n")
    assert loading.loaded(path, {}).config.camera.fps == 12


def test_every_broken_file_is_named_at_once(path: Path) -> None:
    one, two = drop_in(path, "10.toml", "[camera"), drop_in(path, "20.toml", "")
    two.write_bytes(b"\xff")
    path.unlink()
    found = problems(path)
    assert [each.split(": ")[0] for each in found] == [str(path), str(one), str(two)]


def test_a_folder_that_cannot_be_read_is_an_error(path: Path) -> None:
    folder = path.with_name("device.toml.d")
    folder.symlink_to(folder.name)
    assert problems(path) == [f"{folder}: cannot be read: Too many levels of symbolic links"]


@pytest.mark.timeout(10)
def test_what_is_no_regular_file_is_an_error_and_does_not_block(path: Path) -> None:
    folder = path.with_name("device.toml.d")
    folder.mkdir()
    os.mkfifo(folder / "10.toml")
    (folder / "20.toml").mkdir()
    assert problems(path) == [
        f"{folder}/10.toml: is not a regular file",
        f"{folder}/20.toml: cannot be read: Is a directory",
    ]


def test_a_file_in_the_place_of_the_folder_is_an_error(path: Path) -> None:
    path.with_name("device.toml.d").touch()
    assert problems(path) == [f"{path}.d: cannot be read: Not a directory"]


def test_remote_changes_that_do_not_fit_the_files_are_named_themselves(path: Path) -> None:
    path.write_text(f"{MAIN}[watch]\ncamera_stall_s = 1.0\n")
    environment = state(path, "[camera]\nfps = 1\n")
    [warning] = loading.loaded(path, environment).warnings
    assert warning.place == f"{environment['STATE_DIRECTORY']}/overrides.toml"
    assert "watch.camera_stall_s" in warning.message


def test_what_a_later_file_overrides_is_known(path: Path) -> None:
    file = drop_in(path, "10.toml", "[camera]\nfps = 12\nheight = 480\n")
    found = loading.loaded(path, {"DEVICE_CAMERA__WIDTH": "320"})
    assert overridden(found.layers, (key for key, _, _ in entries(found.config))) == [
        ("camera.width", "environment: DEVICE_CAMERA__WIDTH"),
        ("camera.fps", f"{file}: camera.fps"),
    ]


def test_an_exposed_secret_is_a_warning_about_its_own_file(path: Path) -> None:
    file = drop_in(path, "10.toml", '[room]\nname = "r"\n[credentials]\napi_key = "k"\napi_secret = "s3cret"\n')
    for folder in file.parents[: len(file.parents) - 2]:  # below /tmp
        folder.chmod(0o755)
    file.chmod(0o644)
    [warning] = loading.loaded(path, {}).warnings
    assert warning.place == f"{file}: credentials.api_secret"
    assert "mode 0644" in warning.message
    file.chmod(0o600)
    assert loading.loaded(path, {}).warnings == ()


@pytest.mark.parametrize(
    ("text", "why"),
    (
        ("[camera\n", "is not valid TOML"),
        ("[camera]\nfps = 5000\n", "camera.fps: is too large; allowed: 120 or less"),
        ('[room]\nname = "other"\n', "room.name: cannot be changed remotely"),
        ('[camera]\nsource = "file"\npath = "/etc/shadow"\n', "camera.source: cannot be changed remotely"),
        ('[cameras.b]\npath = "/etc/shadow"\n', "cameras.b.path: cannot be changed remotely"),
        ("camera = 5\n", "camera: cannot be changed remotely"),
        (f"[camera]\nfps = 5 #{'x' * 70_000}\n", "is too large; allowed: 65536 bytes at most"),
    ),
)
def test_unusable_remote_changes_are_ignored_with_a_warning(path: Path, text: str, why: str) -> None:
    environment = state(path, text)
    found = loading.loaded(path, environment)
    assert found.config == loading.loaded(path, {}).config
    [warning] = found.warnings
    assert warning.place.startswith(f"{environment['STATE_DIRECTORY']}/overrides.toml")
    assert why in str(warning)
    assert "all remote changes in this file are ignored" in warning.message


def test_a_broken_file_is_an_error_with_and_without_remote_changes(path: Path) -> None:
    environment = state(path, "[camera]\nfps = 7\n")
    path.write_text(MAIN.replace("width = 640", "width = 641"))
    assert problems(path, environment) == [f"{path}: camera.width: must be even, as H.264 with 4:2:0 colour needs"]


def test_remote_changes_belong_to_the_service(path: Path) -> None:
    """A configuration that somebody tries by hand does not get what was changed in the service."""
    assert remote_changes.find(path, {}) is None
    assert remote_changes.find(DEFAULT_PATH, {}) == SERVICE_STATE / "overrides.toml"
