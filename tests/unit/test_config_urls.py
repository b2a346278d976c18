"""room.url as one server or a list, from the file or the environment; and the keys of the reconnect table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from device.config import loading as config_file
from device.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from device.config.effective import Config

ONE, TWO = "wss://one.example", "wss://two.example"


def load(folder: Path, text: str) -> Config:
    path = folder / "device.toml"
    path.write_text(text)
    return config_file.load(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return "\n".join(str(problem) for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("value", "urls"),
    (
        (ONE, (ONE,)),
        ([ONE], (ONE,)),
        ([TWO, ONE], (TWO, ONE)),
        (["https://one.example", "http://two.example:7880"], (ONE, "ws://two.example:7880")),
        ([ONE] * 8, (ONE,) * 8),
    ),
)
def test_one_url_or_several_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | list[str], urls: tuple[str, ...]
) -> None:
    assert load(tmp_path, f"[room]\nurl = {json.dumps(value)}\n").room.url == urls
    monkeypatch.setenv("DEVICE_ROOM__URL", value if isinstance(value, str) else json.dumps(value))
    assert load(tmp_path, '[room]\nurl = "wss://overridden.example"\n').room.url == urls


@pytest.mark.parametrize(
    ("value", "said"),
    (
        ([], "must be a URL in quotes, or a list of them"),
        (5, "must be a URL in quotes, or a list of them"),
        ([ONE, 5], "must be a URL in quotes, or a list of them"),
        ([[ONE]], "must be a URL in quotes, or a list of them"),
        ([ONE] * 9, "is a list of 9 URLs; allowed: 8 at most"),
        ([ONE, ""], "is empty"),
        ([ONE, "ftp://two.example"], "must begin with ws://"),
        ([ONE, "wss://u:zq@two.example"], "must not hold a user"),
        ("[oops", "is not JSON; a list must look like"),
    ),
)
def test_an_invalid_list_of_servers_is_an_error(tmp_path: Path, value: object, said: str) -> None:
    message = refusal(tmp_path, f"[room]\nurl = {json.dumps(value)}\n")
    assert "room.url" in message
    assert said in message
    assert "zq" not in message


def test_a_list_in_the_environment_that_is_not_json_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_ROOM__URL", "[wss://one.example, wss://two.example]")
    assert 'a list must look like ["wss://ONE", "wss://TWO"]' in refusal(tmp_path, "")


@pytest.mark.parametrize(
    ("table", "key", "least", "most"),
    (
        ("reconnect", "probe_s", 0.5, 60),
        ("reconnect", "spread_s", 0, 3600),
        ("reconnect", "max_s", 1, 3600),
        ("watch", "delivery_stall_s", 3, 60),
    ),
)
def test_the_bounds_of_the_reconnect_table(tmp_path: Path, table: str, key: str, least: float, most: float) -> None:
    room = f'[room]\nurl = "{ONE}"\n'
    for value in (least, most):
        assert getattr(getattr(load(tmp_path, f"{room}[{table}]\n{key} = {value}\n"), table), key) == value
    for wrong in (least - 0.1, most + 0.1, "nan", "inf", '"soon"'):
        assert f"{table}.{key}" in refusal(tmp_path, f"{room}[{table}]\n{key} = {wrong}\n")
