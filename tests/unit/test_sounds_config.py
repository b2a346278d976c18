"""[sounds]: names and absolute paths; where they may come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from device.boot.content import interpreted
from device.config import loading
from device.config.sounds import MAX_SOUNDS
from device.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

ROOM = '[room]\nurl = "ws://h"\n'


def loaded(folder: Path, text: str, **variables: str) -> loading.Loaded:
    path = folder / "device.toml"
    path.write_text(f"{ROOM}{text}")
    return loading.loaded(path, variables)


def problems(folder: Path, text: str, **variables: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **variables)
    return [str(each) for each in caught.value.problems]


def test_without_the_table_there_are_none(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").config.sounds == {}


def test_sounds_of_all_layers(tmp_path: Path) -> None:
    folder = tmp_path / "device.toml.d"
    folder.mkdir()
    (folder / "alarm.toml").write_text('[sounds]\nalarm = "/alarm.ogg"\n')
    found = loaded(tmp_path, '[sounds]\ndoor_bell-2 = "/a b/bell.wav"\n', DEVICE_SOUNDS__GONG="/gong.flac")
    assert found.config.sounds == {"door_bell-2": "/a b/bell.wav", "alarm": "/alarm.ogg", "gong": "/gong.flac"}
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("line", "said"),
    (
        ('bell = "bell.wav"', 'bell must be the absolute path of a sound file, such as "/usr/share/sounds/bell.wav"'),
        ('bell = "https://h/bell.wav"', "must be the absolute path"),
        ('bell = "/bell\\nwav"', "must be the absolute path"),
        ("bell = 7", "bell must be text in quotes"),
        ('Bell = "/bell.wav"', "is not a name for a sound; allowed: 1 to 32 letters (a to z), digits, - and _"),
        ('"door bell" = "/bell.wav"', "is not a name for a sound"),
    ),
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, line: str, said: str) -> None:
    [found] = problems(tmp_path, f"[sounds]\n{line}\n")
    assert found.startswith(f"{tmp_path}/device.toml: sounds.")
    assert said.replace("bell must", "must") in found


def test_there_may_not_be_too_many(tmp_path: Path) -> None:
    text = "\n".join(f'bell{number} = "/bell"' for number in range(MAX_SOUNDS + 1))
    [found] = problems(tmp_path, f"[sounds]\n{text}")
    assert "has too many entries; allowed: 32 or fewer" in found


def test_a_variable_names_one_sound(tmp_path: Path) -> None:
    assert "sets a whole table; set single keys" in problems(tmp_path, "", DEVICE_SOUNDS="{}")[0]
    [found] = problems(tmp_path, "", DEVICE_SOUNDS__BELL="bell.wav")
    assert found.startswith("environment: DEVICE_SOUNDS__BELL: must be the absolute path")


def test_the_boot_partition_has_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sounds: is not allowed on the boot partition"):
        interpreted(tmp_path / "livekit-device.toml", f'{ROOM}[sounds]\nbell = "/bell"\n'.encode())
