"""Changes of single keys of the running configuration: which, what is wrong with others, persisted, reverted, reset."""

from __future__ import annotations

import asyncio
import math
import stat
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from device.config import loading
from device.config.layer import LayerKind, changes_of, merged_tables
from device.config.remote_keys import leaves, nested, remote_keys, without
from device.config.schema_keys import described, keys
from device.control.decoding import decoded
from device.errors import CallError, ConfigError
from device.reload.edit import Edit, changed_keys, edited
from tests.support.reload_scene import Scene, hurry, written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from device.config.layer import Layer
    from device.settings import Settings

CAMERA = {
    "width": 640,
    "height": 480,
    "fps": 15,
    "bitrate_max_bps": 900_000,
    "bitrate_min_bps": 50_000,
    "controls.Contrast": 1.5,
    "night.enabled": False,
    "night.below_lux": 1,
    "night.above_lux": 30,
    "night.below_luma": 10.5,
    "night.above_luma": 120,
    "night.hold_s": 5,
    "night.min_s": 30,
    "night.fps": 5,
    "night.controls.Contrast": 2,
}
"""A new value of each key of a camera that may be changed."""
NEW = {f"camera.{key}": value for key, value in CAMERA.items()} | {"microphone.gain_db": 3, "speaker.volume_db": -6}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    hurry(monkeypatch)
    return Scene(tmp_path)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> loading.Loaded:
    path = written(tmp_path_factory.mktemp("etc") / "device.toml")
    path.write_text(f'{path.read_text()}[cameras.garden]\nsource = "pattern"\n')
    return loading.loaded(path, {"DEVICE_WATCH__CAMERA_STALL_S": "9", "DEVICE_CAMERA__NIGHT": '{"min_s": 40}'})


def layers_with(loaded: loading.Loaded, values: Mapping[str, object], *, persist: bool = False) -> tuple[Layer, ...]:
    return edited(loaded.config, loaded.layers, Edit(values=values, persist=persist), None)


def refused(loaded: loading.Loaded, values: Mapping[str, object]) -> str:
    with pytest.raises(CallError) as caught:
        layers_with(loaded, values)
    return str(caught.value)


def refusals(scene: Scene, values: Mapping[str, object]) -> str:
    [error] = scene.during(scene.reloader.edit(Edit(values=values)))
    assert isinstance(error, CallError), error
    assert scene.applied == []
    return str(error)


async def noted(scene: Scene, text: str) -> None:
    """Wait until a text about the configuration is noted."""
    while text not in "".join(scene.texts):  # by another task  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def test_each_key_that_is_marked_has_a_value_in_these_tests() -> None:
    names = {key.replace(".Contrast", ".NAME") for key in NEW}
    assert names == set(remote_keys(described()))


@pytest.mark.parametrize("key", NEW)
def test_each_marked_key_can_be_set(loaded: loading.Loaded, key: str) -> None:
    value = NEW[key]
    if key == "camera.night.min_s":  # the environment of these tests sets it
        assert "DEVICE_CAMERA__NIGHT, which wins" in refused(loaded, {key: value})
        return
    for name in {key, key.replace("camera.", "cameras.garden.")}:
        found = loading.of_layers(layers_with(loaded, {name: value}))
        assert dict(leaves(loading.plain(found.checked)))[tuple(name.split("."))] == value


def test_every_other_key_is_refused(loaded: loading.Loaded) -> None:
    others = [key for key, _ in keys() if not described()[key].remote]
    assert len(others) > 60
    for key in others:
        name = key.replace("NAME", "garden" if key.startswith("cameras") else "desk")
        text = refused(loaded, {"camera.fps": 5, name: 1})
        if name != "watch.camera_stall_s":
            assert text.startswith(f"{name} cannot be changed while the device runs; allowed: camera.width, "), text


@pytest.mark.parametrize(
    ("key", "text"),
    (
        ("camera.fsp", "there is no key camera.fsp; did you mean camera.fps?"),
        ("", "there is no key "),
        ("camera.", "there is no key camera."),
        ("camera.controls.", "there is no key camera.controls."),
        ("camera", "camera is a table; set its keys one by one"),
        ("cameras.garden", "cameras.garden cannot be changed while the device runs"),
        ("camera.controls", "camera.controls is a table; set its keys one by one, camera.controls.NAME"),
        ("cameras.garden.controls", "cameras.garden.controls is a table"),
        ("camera.controls.a.b", "there is no key camera.controls.a.b"),
        ("cameras.yard.fps", "there is no [cameras.yard]; there are: garden"),
        ("microphones.yard.gain_db", "there is no [microphones.yard]; there are: none"),
        ("x" * 100, f"there is no key {'x' * 64}"),
    ),
)
def test_what_is_wrong_with_a_key_is_said(loaded: loading.Loaded, key: str, text: str) -> None:
    assert refused(loaded, {key: 1}).startswith(text)


@pytest.mark.parametrize(
    ("values", "text"),
    (
        ({"camera.fps": 500}, "camera.fps: is too large; allowed: 120 or less"),
        ({"camera.fps": "15"}, "camera.fps: must be a whole number"),
        ({"camera.fps": 15.5}, "camera.fps: must be a whole number"),
        ({"camera.fps": True}, "camera.fps: must be a whole number"),
        ({"camera.width": 641}, "camera.width: must be even, as H.264 with 4:2:0 colour needs"),
        ({"camera.night.enabled": 1}, "camera.night.enabled: must be true or false"),
        ({"microphone.gain_db": [1]}, "microphone.gain_db: must be a number"),
        ({"camera.bitrate_min_bps": 3_000_000}, "camera: bitrate_min_bps (3000000) is above bitrate_max_bps (2500000)"),
        (
            {"camera.fps": 0, "microphone.gain_db": 90},
            "camera.fps: is too small; allowed: 1 or more; microphone.gain_db: is too large; allowed: 60.0 or less",
        ),
    ),
)
def test_one_bad_value_changes_nothing(scene: Scene, values: dict[str, Any], text: str) -> None:
    found = refusals(scene, {"camera.height": 480} | values)
    assert text in found
    assert str(scene.folder) not in found
    assert not scene.overrides.file.exists()  # type: ignore[union-attr]


def test_what_a_worker_refuses_changes_nothing(scene: Scene) -> None:
    scene.refuses = "camera.controls.X: this camera has no such control"
    assert refusals(scene, {"camera.controls.X": 1}).endswith(scene.refuses)


@pytest.mark.parametrize(
    "value", (None, {}, [[1]], ["x"], [True], math.nan, math.inf, 1 << 64, "x" * 300, "\x1b", [0] * 65)
)
def test_values_of_another_form_are_no_call(value: object) -> None:
    with pytest.raises(CallError, match=r"^camera\.controls\.X: (must be|is a list of 65)"):
        decoded("set", {"values": {"camera.controls.X": value}})


@pytest.mark.parametrize("values", ({}, {f"a{number}": 1 for number in range(65)}, {"a" * 200: 1}, {"\n": 1}))
def test_keys_of_another_form_are_no_call(values: dict[str, int]) -> None:
    with pytest.raises(CallError, match=r"has \d+ keys; allowed: 1 to 64|is no key"):
        decoded("set", {"values": values})


def test_each_key_says_what_was_done(scene: Scene) -> None:
    values: dict[str, object] = {
        "microphone.gain_db": 3,
        "camera.fps": 15,
        "camera.controls.Contrast": 1.5,
        "camera.height": 720,
    }
    [done] = scene.during(scene.reloader.edit(Edit(values=values)))
    assert done == {
        "microphone.gain_db": "applied live",
        "camera.fps": "worker restart",
        "camera.controls.Contrast": "worker restart",  # with the other one
        "camera.height": "unchanged",
    }
    [done] = scene.during(scene.reloader.edit(Edit(values={"camera.bitrate_max_bps": 5_000_000})))
    assert done == {"camera.bitrate_max_bps": "rejoin"}
    assert scene.settings.config.camera.fps == 15


def test_the_caller_is_answered_before_the_room_is_left(scene: Scene) -> None:
    """It may be in the room."""

    async def answered_first() -> dict[str, str]:
        left = asyncio.Event()
        scene.leaves = left.wait
        done = await scene.reloader.edit(Edit(values={"camera.bitrate_max_bps": 5_000_000}, persist=True))
        assert "bitrate_max_bps" in scene.overrides.file.read_text()  # type: ignore[union-attr]
        left.set()
        await noted(scene, "camera.bitrate_max_bps")
        return done

    assert scene.during(answered_first()) == [{"camera.bitrate_max_bps": "rejoin"}]


def test_a_failure_after_the_answer_is_logged(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def once_more() -> dict[str, str]:
        scene.leaves = fail
        await scene.reloader.edit(Edit(values={"camera.bitrate_max_bps": 5_000_000}))
        return await scene.reloader.edit(Edit(values={"camera.fps": 6}))

    assert scene.during(once_more()) == [{"camera.fps": "worker restart"}]
    assert "config.failed" in capsys.readouterr().out


def test_persisted_values_are_in_the_file_and_others_win_until_the_next_start(scene: Scene) -> None:
    file = scene.overrides.file
    assert file
    [done] = scene.during(
        scene.reloader.edit(Edit(values={"camera.fps": 15, "camera.controls.A b": "x"}, persist=True))
    )
    assert set(done.values()) == {"worker restart"}
    assert tomllib.loads(file.read_text()) == {"camera": {"fps": 15, "controls": {"A b": "x"}}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    scene.during(scene.reloader.edit(Edit(values={"camera.fps": 20})))
    assert scene.settings.config.camera.fps == 20
    assert scene.loader.files({}).config.camera.fps == 15  # as at a start
    scene.during(scene.reloader.edit(Edit(values={"camera.fps": 10}, persist=True)))
    assert scene.settings.config.camera.fps == 10
    assert changed_keys(scene.settings.layers) == ["camera.controls.A b", "camera.fps"]


def test_a_reset_removes_all_changes_and_says_what_changed_back(scene: Scene) -> None:
    scene.during(scene.reloader.edit(Edit(values={"camera.fps": 15, "camera.height": 480}, persist=True)))
    scene.during(scene.reloader.edit(Edit(values={"microphone.gain_db": 3, "camera.width": 1280})))
    [done] = scene.during(scene.reloader.edit(Edit(reset=True)))
    assert done == {
        "camera.fps": "worker restart",
        "camera.height": "worker restart",
        "camera.width": "unchanged",
        "microphone.gain_db": "applied live",
    }
    assert scene.settings.config == scene.loader.files({}).config
    assert not scene.overrides.file.exists()  # type: ignore[union-attr]
    assert scene.during(scene.reloader.edit(Edit(reset=True))) == [{}]


def test_a_reset_removes_a_file_that_is_ignored(scene: Scene) -> None:
    file = scene.overrides.file
    assert file
    file.write_text("[camera]\nfps = 900\n")
    scene.during(scene.reloader.edit(Edit(reset=True)))
    assert not file.exists()


def test_a_change_of_the_files_waits_for_a_reload_which_keeps_what_was_set(scene: Scene) -> None:
    written(scene.path, camera="height = 480\nfps = 12")
    scene.during(scene.reloader.edit(Edit(values={"camera.fps": 15})))
    assert (scene.settings.config.camera.fps, scene.settings.config.camera.height) == (15, 720)
    scene.play(scene.reloader.request, lambda: scene.settings.config.camera.height == 480)
    assert scene.settings.config.camera.fps == 15


def test_what_was_set_and_does_not_fit_new_files_is_dropped_with_a_warning(scene: Scene) -> None:
    scene.during(scene.reloader.edit(Edit(values={"camera.bitrate_min_bps": 2_000_000, "camera.fps": 7})))
    written(scene.path, camera="bitrate_max_bps = 1_000_000")
    with capture_logs():
        scene.play(scene.reloader.request, lambda: scene.settings.config.camera.bitrate_max_bps == 1_000_000)
    [warning] = scene.settings.warnings
    assert str(warning).startswith("changes until the next start: camera: bitrate_min_bps (2000000) is above")
    assert scene.settings.config.camera.fps == 30
    assert changed_keys(scene.settings.layers) == []


def test_only_the_layer_that_does_not_fit_is_dropped(tmp_path: Path) -> None:
    path = written(tmp_path / "device.toml", camera="bitrate_max_bps = 1_000_000")
    (tmp_path / "overrides.toml").write_text("[camera]\nbitrate_min_bps = 2_000_000\n")
    found = loading.loaded(path, {"STATE_DIRECTORY": str(tmp_path)}, temporary={"camera": {"fps": 7}})
    assert found.config.camera.fps == 7
    assert [each.place for each in found.warnings] == [str(tmp_path / "overrides.toml")]


@pytest.mark.parametrize("persist", (False, True))
def test_a_change_after_which_the_device_is_not_live_is_reverted_with_its_file(scene: Scene, *, persist: bool) -> None:
    scene.during(scene.reloader.edit(Edit(values={"microphone.gain_db": 3}, persist=True)), noted(scene, "kept"))
    file = scene.overrides.file
    assert file
    before = scene.settings
    scene.live_with = lambda settings: settings.config.camera.width == 1280

    with capture_logs() as logs:
        done, _ = scene.during(
            scene.reloader.edit(Edit(values={"camera.width": 3840}, persist=persist)), noted(scene, "as before")
        )
    assert done == {"camera.width": "worker restart"}
    assert scene.settings == before
    assert tomllib.loads(file.read_text()) == {"microphone": {"gain_db": 3}}
    [line] = [each for each in logs if each["event"] == "config.reverted"]
    assert (line["log_level"], line["changed"]) == ("error", "camera.width")


def test_a_change_is_kept_once_the_device_is_live_with_it(scene: Scene) -> None:
    scene.during(scene.reloader.edit(Edit(values={"camera.width": 640})), noted(scene, "kept"))
    assert scene.settings.config.camera.width == 640


def test_a_revert_does_not_wait_for_a_pause_between_calls(scene: Scene) -> None:
    scene.live_with = lambda settings: settings.config.camera.width == 1280

    async def always_the_same() -> None:
        while "as before" not in "".join(scene.texts):
            await scene.reloader.edit(Edit(values={"camera.height": scene.settings.config.camera.height}))

    scene.during(scene.reloader.edit(Edit(values={"camera.width": 3840})), always_the_same())
    assert scene.settings.config.camera.width == 1280


def test_changes_are_carried_out_in_turn_after_a_reload(scene: Scene) -> None:
    scene.slow_s = 0.05

    async def reload_first() -> list[Any]:
        written(scene.path, camera="height = 480")
        scene.reloader.request()
        await asyncio.sleep(0.02)
        edits = (scene.reloader.edit(Edit(values={"camera.fps": fps})) for fps in range(5, 20))
        return await asyncio.gather(*edits, return_exceptions=True)

    [found] = scene.during(reload_first())
    assert found[:8] == [{"camera.fps": "worker restart"}] * 8
    assert {str(each) for each in found[8:]} == {"too many changes wait for their turn; try again"}
    assert (scene.settings.config.camera.fps, scene.settings.config.camera.height) == (12, 480)
    assert scene.applied == ["camera.height", *["camera.fps"] * 8]


def test_a_change_whose_caller_has_given_up_is_not_carried_out(scene: Scene) -> None:
    async def give_up() -> None:
        task = asyncio.create_task(scene.reloader.edit(Edit(values={"camera.fps": 5})))
        await asyncio.sleep(0)
        task.cancel()
        await scene.reloader.edit(Edit(values={"camera.fps": 6}))

    scene.during(give_up())
    assert scene.applied == ["camera.fps"]
    assert scene.settings.config.camera.fps == 6


def test_a_failure_inside_is_the_callers_and_the_next_change_is_carried_out(scene: Scene) -> None:
    def broken(_settings: Settings) -> bool:
        scene.live_with = lambda _settings: True
        raise ZeroDivisionError

    scene.live_with = broken
    first, second = scene.during(*(scene.reloader.edit(Edit(values={"camera.fps": fps})) for fps in (5, 6)))
    assert isinstance(first, ZeroDivisionError)
    assert second == {"camera.fps": "worker restart"}


def test_what_cannot_be_written_is_not_persisted_and_not_in_effect(scene: Scene) -> None:
    file = scene.overrides.file
    assert file
    file.mkdir()
    [error] = scene.during(scene.reloader.edit(Edit(values={"camera.fps": 5}, persist=True)))
    assert str(error) == f"{file} cannot be written: Is a directory; without persist nothing is written"
    assert scene.settings.config.camera.fps == 30
    scene.overrides.file = None
    [error] = scene.during(scene.reloader.edit(Edit(values={"camera.fps": 5}, persist=True)))
    assert "has no state directory" in str(error)
    assert scene.during(scene.reloader.edit(Edit(values={"camera.fps": 5}))) == [{"camera.fps": "worker restart"}]


def test_all_changes_together_are_bounded(loaded: loading.Loaded) -> None:
    layers: Sequence[Layer] = loaded.layers
    for number in range(200):
        layers = edited(loaded.config, layers, Edit(values={f"camera.controls.c{number}": 1}), None)
    with pytest.raises(CallError, match="more than 200 values are changed; `reset` removes all"):
        edited(loaded.config, layers, Edit(values={"camera.fps": 1}), None)


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)


@given(st.lists(NAMES, max_size=6))
def test_a_value_that_is_removed_leaves_no_empty_table(places: list[tuple[str, ...]]) -> None:
    tables: dict[str, Any] = {}
    for where in places:
        if not any(where[:length] in dict(leaves(tables)) for length in range(4)):
            tables = merged_tables(tables, nested(where, 1))
    for where in places:
        tables = without(tables, where)
        assert where not in dict(leaves(tables))
    assert not list(leaves(tables))


def test_layers_are_the_same_at_the_other_end(loaded: loading.Loaded) -> None:
    layers = layers_with(loaded, {"camera.fps": 5})
    assert [type(each).of_plain(each.as_plain()) for each in layers] == list(layers)
    assert changes_of(layers, LayerKind.TEMPORARY) == {"camera": {"fps": 5}}
    with pytest.raises(ConfigError):
        loading.of_layers(layers_with(loaded, {"camera.fps": 500}))
