"""Tables of more cameras and microphones: their names, their errors, and what follows for each stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from device.boot.content import interpreted
from device.check.sandbox import Sandbox
from device.config import loading, toml_file
from device.config.environment import Variables, unknown_variables
from device.config.streams import MAX_STREAMS
from device.errors import ConfigError
from device.ipc.messages import CameraJob
from device.streams.plan import plan_streams

if TYPE_CHECKING:
    from pathlib import Path

    from device.config.effective import Config

ROOM = '[room]\nurl = "wss://room.example"\nname = "porch"\ndisplay_name = "Porch"\n'
OFF = '[camera]\nsource = "off"\n[microphone]\nsource = "off"\n'
FOUR = """
[cameras.garden]
source = "pattern"
fps = 5
[cameras.0_back-yard]
source = "file"
path = "yard.mp4"
[microphones.hall]
source = "tone"
"""


def load(folder: Path, text: str) -> Config:
    path = folder / "device.toml"
    path.write_text(ROOM + text)
    return loading.load(path)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [str(each).removeprefix(f"{folder / 'device.toml'}: ") for each in caught.value.problems]


def test_streams_are_in_order_and_have_names_keys_and_labels(tmp_path: Path) -> None:
    config = load(tmp_path, FOUR)
    assert [(each.name, each.key, each.kind, each.label) for each in config.streams] == [
        ("camera", "camera", "camera", "camera"),
        ("garden", "cameras.garden", "camera", "camera.garden"),
        ("0_back-yard", "cameras.0_back-yard", "camera", "camera.0_back-yard"),
        ("microphone", "microphone", "microphone", "microphone"),
        ("hall", "microphones.hall", "microphone", "microphone.hall"),
    ]
    assert [each.table.path for each in config.streams] == ["", "", str(tmp_path / "yard.mp4"), "", ""]


def test_each_stream_has_a_plan_with_its_own_limits_and_title(tmp_path: Path) -> None:
    plans = plan_streams(load(tmp_path, FOUR))
    assert [each.name for each in plans] == ["camera", "garden", "0_back-yard", "microphone", "hall"]
    camera, garden, *_ = plans
    assert (camera.title, garden.title) == ("Porch", "Porch, garden")
    assert isinstance(camera.worker.job, CameraJob)
    assert isinstance(garden.worker.job, CameraJob)
    assert (camera.worker.job.fps, garden.worker.job.fps) == (30, 5)
    assert [each.cameras for each in plans[:3]] == [3, 3, 3]
    assert (camera.worker.job.identity, garden.worker.job.identity) == ("Porch", "Porch garden")
    slow = load(tmp_path, FOUR.replace("fps = 5", "fps = 1"))
    assert [each.worker.stall_s for each in plan_streams(slow)][:3] == [2.0, 3.0, 2.0]


def test_the_first_camera_and_microphone_may_be_off(tmp_path: Path) -> None:
    config = load(tmp_path, OFF + '[cameras.garden]\nsource = "pattern"\n')
    assert [each.name for each in config.streams] == ["garden"]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    (
        ("[cameras.garden]\nfps = 5\n", "cameras.garden.source", "DEVICE_CAMERAS__GARDEN__SOURCE"),
        ('[cameras.Garden]\nsource = "pattern"\n', "cameras.Garden", "lower-case letters"),
        (f'[cameras.{"a" * 33}]\nsource = "pattern"\n', f"cameras.{'a' * 33}", "1 to 32"),
        ('[cameras.""]\nsource = "pattern"\n', "cameras.", "1 to 32"),
        ('[cameras."a.b"]\nsource = "pattern"\n', "cameras.a.b", "1 to 32"),
        ('[microphones.camera]\nsource = "tone"\n', "microphones.camera", "[camera]"),
        ('[cameras.garden]\nsource = "pattern"\nfsp = 5\n', "cameras.garden.fsp", "did you mean fps"),
        ('[cameras.garden]\nsource = "pattern"\nfps = "5"\n', "cameras.garden.fps", "whole number"),
        ('[cameras.garden]\nsource = "pattern"\nwidth = 641\n', "cameras.garden.width", "even"),
        ('[cameras.garden]\nsource = "file"\n', "cameras.garden", "path is empty"),
        ('[cameras.garden]\nsource = "pattern"\ncontrols = { a = {} }\n', "cameras.garden.controls.a", "must be true"),
        ('[cameras]\nsource = "pattern"\n', "cameras.source", "must be a table"),
        (
            '[cameras.a]\nsource = "pattern"\n[microphones.a]\nsource = "tone"\n',
            "cameras.a and microphones.a have the same name",
            "",
        ),
        (
            "".join(f'[cameras.a{number}]\nsource = "pattern"\n' for number in range(MAX_STREAMS - 1)),
            f"{MAX_STREAMS + 1} cameras and microphones are not off",
            "8 at most",
        ),
        (OFF + '[cameras.a]\nsource = "off"\n', "camera.source and cameras.a.source and microphone.source", "all off"),
        (
            '[cameras.a]\nsource = "pattern"\nfps = 1\n[watch]\ncamera_stall_s = 1.0\n',
            "watch.camera_stall_s is 1",
            "settings of [cameras.a]",
        ),
    ),
)
def test_a_mistake_is_one_problem_with_its_table(tmp_path: Path, text: str, place: str, said: str) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.startswith(place)
    assert said in problem


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        '[cameras.A]\nsource = "pattern"\nx = 1\n[cameras.b]\nsource = "patern"\n[microphones.c]\ngain_db = 99\n',
    )
    places = [each.partition(": ")[0] for each in found]
    assert places == ["cameras.A", "cameras.A.x", "cameras.b.source", "microphones.c.gain_db", "microphones.c.source"]


@pytest.mark.parametrize(
    ("one", "other", "claimed"),
    (
        ({}, {"source": "picamera2"}, True),
        ({"device": "0"}, {"source": "picamera2", "device": "1"}, False),
        ({}, {"source": "picamera2", "device": "1"}, False),
        ({"device": "IMX708"}, {"source": "picamera2", "device": " imx708"}, True),
        ({"source": "file", "path": "/a"}, {"source": "file", "path": "/a"}, False),
        ({"source": "pattern"}, {"source": "pattern"}, False),
        ({"source": "off"}, {"source": "picamera2"}, False),
    ),
)
def test_two_cameras_may_not_claim_one_device(
    tmp_path: Path, one: dict[str, str], other: dict[str, str], *, claimed: bool
) -> None:
    _require_claim(tmp_path, "camera", one, other, claimed=claimed)


@pytest.mark.parametrize(
    ("one", "other", "claimed"),
    (
        ({}, {"source": "pyaudio"}, True),
        ({"device": "USB"}, {"source": "pyaudio", "device": "usb"}, True),
        ({"device": "USB"}, {"source": "pyaudio"}, False),
        ({"source": "tone"}, {"source": "tone"}, False),
    ),
)
def test_two_microphones_may_not_claim_one_device(
    tmp_path: Path, one: dict[str, str], other: dict[str, str], *, claimed: bool
) -> None:
    _require_claim(tmp_path, "microphone", one, other, claimed=claimed)


def _require_claim(folder: Path, kind: str, one: dict[str, str], other: dict[str, str], *, claimed: bool) -> None:
    def table(name: str, keys: dict[str, Any]) -> str:
        return f"[{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items())

    text = table(kind, one) + table(f"{kind}s.b", other)
    if claimed:
        [problem] = problems(folder, text)
        assert f"{kind} and {kind}s.b claim the same {kind}" in problem
        assert "livekit-device devices" in problem
    else:
        load(folder, text)


def test_an_invalid_table_is_no_conflict_of_its_default(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, '[camera]\nsource = "file"\n[cameras.b]\nsource = "picamera2"\n')
    assert problem.startswith("camera: path is empty")


def test_the_environment_sets_keys_and_whole_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DEVICE_CAMERAS__GARDEN__FPS": "15",
        "DEVICE_CAMERAS__GARDEN__CONTROLS": '{"AeEnable": true}',
        "DEVICE_CAMERAS__ROOF__SOURCE": "pattern",
        "device_microphones__hall__gain_db": "-3",
    }.items():
        monkeypatch.setenv(name, value)
    config = load(tmp_path, FOUR)
    assert (config.cameras["garden"].fps, config.cameras["garden"].controls) == (15, {"AeEnable": True})
    assert list(config.cameras) == ["garden", "0_back-yard", "roof"]
    assert config.microphones["hall"].gain_db == -3


@pytest.mark.parametrize(
    ("name", "value", "said"),
    (
        ("DEVICE_CAMERAS", "{}", "sets a whole table; set single keys, DEVICE_CAMERAS__<NAME>__<KEY>"),
        ("DEVICE_CAMERAS__FPS", "5", "sets a whole table; set single keys, DEVICE_CAMERAS__FPS__<KEY>"),
        ("DEVICE_CAMERAS__A__CONTROLS", "x", "is not JSON"),
        ("DEVICE_CAMERAS__A__CONTROLS__X", "1", "set the table as JSON, such as DEVICE_CAMERAS__A__CONTROLS="),
    ),
)
def test_a_wrong_variable_is_an_error(name: str, value: str, said: str) -> None:
    [problem] = Variables.of_environment({name: value}).problems
    assert problem.place == f"environment: {name}"
    assert said in problem.message


def test_an_error_in_a_variable_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_CAMERAS__GARDEN__FPS", "many")
    assert problems(tmp_path, FOUR) == ["environment: DEVICE_CAMERAS__GARDEN__FPS: must be a whole number"]


def test_a_misspelt_variable_has_a_suggestion() -> None:
    [problem] = unknown_variables({"DEVICE_CAMERAS_GARDEN_FPS": "5"})
    assert "did you mean DEVICE_CAMERAS__<NAME>__<KEY>?" in problem.message


def test_the_boot_partition_may_have_more_cameras_with_absolute_paths(tmp_path: Path) -> None:
    path = tmp_path / "livekit-device.toml"
    good = FOUR.replace("yard.mp4", "/var/lib/livekit-device/yard.mp4")
    content = interpreted(path, (ROOM + good).encode())
    assert [each.name for each in content.config.active_cameras] == ["camera", "garden", "0_back-yard"]
    assert toml_file.parsed(path, content.config_text.encode())["cameras"]["garden"] == {"source": "pattern", "fps": 5}
    with pytest.raises(ConfigError) as caught:
        interpreted(path, (ROOM + FOUR).encode())
    assert [each.place for each in caught.value.problems] == [f"{path}: cameras.0_back-yard.path"]


def test_a_file_that_the_sandbox_hides_is_named_by_its_table(tmp_path: Path) -> None:
    config = load(tmp_path, FOUR.replace("yard.mp4", "/home/pi/yard.mp4"))
    place = Sandbox(inside=True, settings=(("ProtectHome", "yes"),), user="livekit-device")
    [text] = place.hidden_files(config)
    assert text.startswith("cameras.0_back-yard.path: the service does not see /home")
