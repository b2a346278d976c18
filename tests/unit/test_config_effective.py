"""The configuration as plain data, and the child process that validates it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing
from dataclasses import fields, is_dataclass
from functools import partial
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr

from device.config import effective, loading, schema, validation
from device.config.schema_keys import described
from device.config.validation import Validation, ValidationFailedError, validated
from device.errors import ConfigError
from tests.support.configs import config_of

if TYPE_CHECKING:
    from pathlib import Path

TABLES = '[room]\nurl = ["wss://one.example", "wss://two.example"]\nname = "zq-room"\n[credentials]\napi_key = "k"\n'
GOOD = TABLES + (
    'api_secret = "zq-secret"\n[camera]\ncontrols = {AeEnable = true, AnalogueGain = 2.0, ColourGains = [1.5, 2.0]}\n'
    'night = {enabled = true, fps = 5}\n[cameras.garden]\nsource = "pattern"\n[microphone]\ngain_db = 3\n'
)


def plain_type(annotation: Any) -> Any:
    """Return the type of a key in effect, from its type in the schema."""
    if annotation is SecretStr:
        return effective.Secret
    if get_origin(annotation) is Literal:
        return {type(each) for each in get_args(annotation)}.pop()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return getattr(effective, annotation.__name__.removeprefix("Named"))
    if get_origin(annotation) is list and issubclass(get_args(annotation)[0], BaseModel):
        return list[dict[str, Any]]  # tables in a list stay as JSON has them
    if get_origin(annotation) is dict:
        inner = plain_type(get_args(annotation)[1])
        return GenericAlias(dict, (str, inner if is_dataclass(inner) else Any))
    return annotation


@pytest.mark.parametrize(
    "table",
    (
        *("Config", "Room", "Credentials", "Camera", "Night", "Microphone", "Network", "Control", "Watch", "Reconnect"),
        *("Log", "Command"),
    ),
)
def test_each_key_of_the_schema_is_in_effect_with_its_type(table: str) -> None:
    plain = getattr(effective, table)
    hints = typing.get_type_hints(plain)
    mine = {each.name: hints[each.name] for each in fields(plain) if each.name != "keys"}
    mine = {name: plain_type(hint) for name, hint in mine.items()}
    model = getattr(schema, table)
    assert mine == {name: plain_type(field.annotation) for name, field in model.model_fields.items()}


def test_the_child_returns_what_this_process_would_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "device.toml"
    path.write_text(GOOD)
    monkeypatch.setenv("DEVICE_CAMERA_FPS", "15")
    found, here = Validation(path).result(), loading.loaded(path)
    assert (found.path, found.config, found.warnings) == (path, here.config, here.warnings)
    assert found.layers == here.layers
    assert found.config.keys == here.config.keys == described()
    assert [each.place for each in found.warnings] == ["environment: DEVICE_CAMERA_FPS"]
    assert type(found.config.camera.controls["AnalogueGain"]) is float
    assert type(found.config.microphone.gain_db) is float
    assert found.config.credentials.api_secret.get_secret_value() == "zq-secret"
    assert "zq-secret" not in f"{found} {found.config.credentials.api_secret}"


def test_the_child_finds_the_file_and_the_variables_as_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "device.toml"
    path.write_text(TABLES + 'api_secret = "s"\n')
    monkeypatch.setenv("DEVICE_CONFIG", str(path))
    monkeypatch.setenv("DEVICE_CAMERA__FPS", "15")
    assert Validation(None).result().config.camera.fps == 15


def test_the_childs_problems_are_those_of_this_process(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_text('[room]\nurl = "zq-secret"\n[camera]\nfps = 500\nfsp = 1\n[credentials]\napi_key = 5\n')
    with pytest.raises(ConfigError) as here:
        loading.loaded(path)
    for load in (Validation(path).result, partial(validated, path)):
        with pytest.raises(ConfigError) as there:
            load()
        assert there.value.problems == here.value.problems
    assert len(here.value.problems) == 4


@pytest.mark.parametrize(
    ("module", "text"),
    (("tests.support.none", "ended with 1"),),
)
def test_a_child_without_a_result_is_no_error_of_the_configuration(
    module: str, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the start the process fails, and is started again; a reload changes nothing."""
    monkeypatch.setattr(validation, "_CHILD", module)
    with pytest.raises(ValidationFailedError, match=text):
        Validation(tmp_path).result()
    with pytest.raises(ConfigError, match=f"could not be validated: .*{text}"):
        validated(tmp_path)
    assert "No module named" in capfd.readouterr().err


def test_a_child_whose_parent_has_ended_says_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = (sys.executable, "-m", validation._CHILD, str(tmp_path))
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.stderr == ""


def test_a_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(validation, "_LIMIT_S", 0.0)
    hanging = Validation(tmp_path / "none.toml")
    with pytest.raises(ValidationFailedError, match="within 0 s"):
        hanging.result()
    assert hanging._process.returncode is not None


def test_an_error_of_the_program_in_the_child_is_reported_with_its_place() -> None:
    text = json.dumps({"failed": "Traceback: zq"})
    echo = (sys.executable, "-c", f"print({text!r})")
    started = Validation.__new__(Validation)
    started._input = None
    started._process = subprocess.Popen(echo, stdout=subprocess.PIPE)
    with pytest.raises(ValidationFailedError, match="Traceback: zq"):
        started.result()


@pytest.mark.parametrize("wrong", ({"gone": 1}, {"name": None, "url": 5}))
def test_data_of_another_version_is_refused(wrong: dict[str, Any]) -> None:
    config = config_of({"room": {"url": "ws://h"}})
    data = loading.plain(schema.Config.model_validate({"room": {"url": "ws://h"}}))
    assert effective.restored(data, config.keys) == config
    with pytest.raises((TypeError, ValueError)):
        effective.restored(data | {"room": data["room"] | wrong}, config.keys)
    del data["watch"]
    with pytest.raises(TypeError):
        effective.restored(data, config.keys)


def test_the_daemon_imports_nothing_that_only_its_start_needs() -> None:
    heavy = ("pydantic", "pydantic_core", "pydantic_settings", "pyroute2", "PIL", "av", "aiohttp", "numpy")
    program = (
        "import sys; from device import daemon; daemon._import_the_rest(); "
        "from device.reload import reloader, running; "
        f"print([name for name in {heavy} if name in sys.modules], 'device.room.connection' in sys.modules)"
    )
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"
