"""config/device.toml matches the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from device.config import loading as config_file
from device.config.command_words import placeholders
from device.config.night import Night
from device.config.schema import Config
from tests.support.configs import config_of

if TYPE_CHECKING:
    from pydantic import BaseModel

SHIPPED = Path(__file__).parents[2] / "config/device.toml"
TABLES: dict[str, type[BaseModel]] = {
    name: field.annotation for name, field in Config.model_fields.items() if isinstance(field.annotation, type)
}
# [cameras.NAME] and [microphones.NAME] have the keys of [camera] and [microphone]; the file has examples of all four.
assert set(Config.model_fields) - set(TABLES) == {"cameras", "microphones", "commands", "sounds"}


def tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(SHIPPED.read_text())


def test_it_loads_once_url_name_and_one_credential_come_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_ROOM__URL", "wss://room.example")
    monkeypatch.setenv("DEVICE_ROOM__NAME", "front-door")
    monkeypatch.setenv("DEVICE_CREDENTIALS__TOKEN_FILE", "/run/token")
    config = config_file.load(SHIPPED)
    assert (config.room.url, config.room.name) == (("wss://room.example",), "front-door")
    assert config.credentials.token_file == "/run/token"
    defaults = config_of({"room": {"url": "wss://room.example"}})
    for name in TABLES:
        if name not in ("room", "credentials"):
            assert getattr(config, name) == getattr(defaults, name)


def test_every_optional_key_has_the_default_of_the_code() -> None:
    defaults = {"room": TABLES["room"](url="ws://h")} | {
        name: table() for name, table in TABLES.items() if name != "room"
    }
    shipped = tables()
    assert shipped.pop("sounds") == {}  # the user chooses its keys
    assert set(shipped) == set(defaults)
    assert shipped["camera"].pop("night") == Night().model_dump()
    for table, keys in shipped.items():
        for key, value in keys.items():
            default = getattr(defaults[table], key)
            assert value == getattr(default, "get_secret_value", lambda default=default: default)(), f"{table}.{key}"
            assert isinstance(value, bool) == isinstance(default, bool)


def test_every_key_is_documented() -> None:
    """Keys without a default are commented out, in their table."""
    table, seen = "", set()
    for line in SHIPPED.read_text().splitlines():
        if match := re.fullmatch(r"\[([\w.]+)]", line):
            table = match[1]
        elif match := re.match(r"(?:# )?(\w+) = ", line):
            seen.add(f"{table}.{match[1]}")
    expected = {f"{name}.{key}" for name, model in TABLES.items() for key in model.model_fields}
    expected |= {f"camera.night.{key}" for key in Night.model_fields}
    inner = {"camera.controls", "camera.night", "camera.night.controls"}
    assert seen == expected - inner
    assert all(f"[{each}]" in SHIPPED.read_text() for each in inner)


def test_every_group_of_keys_has_a_comment() -> None:
    """A comment with unit and bounds is in the same paragraph as its keys."""
    for paragraph in SHIPPED.read_text().split("\n\n"):
        lines = paragraph.strip().splitlines()
        if any(re.match(r"\w+ = ", line) for line in lines):
            assert any(line.startswith("# ") for line in lines), paragraph


@pytest.mark.parametrize("name", ("demo.toml", "clip.toml"))
def test_the_other_files_load_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_ROOM__URL", "ws://127.0.0.1:7880")
    monkeypatch.setenv("DEVICE_CREDENTIALS__API_KEY", "k")
    monkeypatch.setenv("DEVICE_CREDENTIALS__API_SECRET", "s")
    config = config_file.load(SHIPPED.parent / name)
    assert {config.camera.source, config.microphone.source} <= {"pattern", "tone", "file"}


def test_the_examples_of_tables_with_names_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are commented out, each with the keys of its table below it."""
    found = re.findall(r"(?m)^#   \[(?:cameras|microphones|commands)\..*\n(?:#   \w+ = .*\n)+", SHIPPED.read_text())
    path = tmp_path / "device.toml"
    path.write_text(SHIPPED.read_text() + "".join(re.sub(r"(?m)^#   ", "", each) for each in found))
    monkeypatch.setenv("DEVICE_ROOM__URL", "wss://room.example")
    config = config_file.load(path)
    assert [each.key for each in config.streams] == ["camera", "cameras.garden", "microphone", "microphones.hall"]
    assert {name: placeholders(each.run) for name, each in config.commands.items()} == {"lamp": {"level": None}}
