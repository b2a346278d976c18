"""The diff of two configurations: every key of the schema, and what its change needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config.diff import ChangeClass, diff
from device.config.effective import Config, Secret
from device.config.marks import PROCESS_RESTART
from device.config.schema_keys import class_of, keys
from tests.support.configs import config_of

SHIPPED = Path("config/device.toml")
KEYS = {key: field for key, field in keys() if ".NAME" not in key}  # those have a test of their own
BASE: dict[str, Any] = {"room": {"url": "wss://one.example", "name": "porch"}}
LAMP = {"run": ["/bin/echo", "{level}"], "arguments": {"level": ["0", "1"]}}
# A valid value for each key, different from that of BASE, and what else it needs to be valid.
OTHER: dict[str, tuple[Any, dict[str, Any]]] = {
    "room.url": ("wss://two.example", {}),
    "room.name": ("yard", {}),
    "room.identity": ("other", {}),
    "room.display_name": ("Other", {}),
    "credentials.token_file": ("/t", {}),
    "credentials.endpoint": ("https://h/?key=zq-secret", {}),
    "credentials.endpoint_headers_file": ("/h", {"credentials.endpoint": "https://h"}),
    "credentials.api_key": ("key", {}),
    "credentials.api_secret": ("zq-secret", {}),
    "credentials.api_secret_file": ("/s", {}),
    "camera.source": ("pattern", {}),
    "camera.width": (640, {}),
    "camera.height": (480, {}),
    "camera.fps": (15, {}),
    "camera.device": ("1", {}),
    "camera.path": ("/a.mp4", {}),
    "camera.url": ("rtsp://h/zq-secret", {"camera.source": "stream"}),
    "camera.url_file": ("/u", {"camera.source": "stream"}),
    "camera.rtsp_transport": ("udp", {}),
    "camera.hflip": (True, {}),
    "camera.vflip": (True, {}),
    "camera.rotate": (90, {}),
    "camera.encoder": ("x264", {}),
    "camera.x264_preset": ("auto", {}),
    "camera.bitrate_max_bps": (1_000_000, {}),
    "camera.bitrate_min_bps": (50_000, {}),
    "camera.keyframe_interval_s": (5, {}),
    "camera.when_unwatched": ("pause", {}),
    "camera.sleep_after_s": (30.0, {}),
    "camera.controls": ({"AeEnable": False}, {}),
    "camera.night.enabled": (True, {"camera.night.fps": 10}),
    "camera.night.below_lux": (4.0, {}),
    "camera.night.above_lux": (30.0, {}),
    "camera.night.below_luma": (20.0, {}),
    "camera.night.above_luma": (100.0, {}),
    "camera.night.hold_s": (5.0, {}),
    "camera.night.min_s": (30.0, {}),
    "camera.night.fps": (10, {}),
    "camera.night.controls": ({"AnalogueGain": 8.0}, {}),
    "microphone.source": ("tone", {}),
    "microphone.device": ("USB", {}),
    "microphone.path": ("/a.wav", {}),
    "microphone.url": ("rtsp://h/zq-secret", {"microphone.source": "stream"}),
    "microphone.url_file": ("/u", {"microphone.source": "stream"}),
    "microphone.rtsp_transport": ("udp", {}),
    "microphone.channels": (2, {}),
    "microphone.gain_db": (3.0, {}),
    "microphone.processing": (False, {}),
    "microphone.redundancy": (True, {}),
    "speaker.source": ("pyaudio", {}),
    "speaker.device": ("USB", {}),
    "speaker.volume_db": (-6.0, {}),
    "speaker.allow": (["ops-*"], {}),
    "speaker.exclusive": (False, {}),
    "speaker.max_s": (60.0, {}),
    "speaker.duck_microphone": (True, {}),
    "network.proxy": ("http://user:zq-secret@h:3128", {}),
    "network.proxy_file": ("/p", {}),
    "network.no_proxy": (".example", {}),
    "network.ca_file": ("/ca.pem", {}),
    "network.relay": ("always", {}),
    "control.allow": ([{"identity": "ops-*", "operations": ["status"]}], {}),
    "reconnect.probe_s": (3.0, {}),
    "reconnect.spread_s": (3.0, {}),
    "reconnect.max_s": (60.0, {}),
    "watch.camera_stall_s": (5.0, {}),
    "watch.microphone_stall_s": (5.0, {}),
    "watch.delivery_stall_s": (5.0, {}),
    "sounds": ({"doorbell": "/bell.wav"}, {}),
    "watch.memory_mb": (300, {}),
    "metrics.bind": ("127.0.0.1:9478", {}),
    "metrics.textfile": ("/run/device.prom", {}),
    "metrics.health": (True, {}),
    "log.level": ("debug", {}),
    "log.format": ("json", {}),
    "hooks.watched": ("lamp level=1", {"commands.lamp": LAMP, "camera.when_unwatched": "pause"}),
    "hooks.unwatched": ("lamp level=0", {"commands.lamp": LAMP, "camera.when_unwatched": "pause"}),
}

_NEED_OTHERS = {
    *("credentials.token_file", "credentials.endpoint_headers_file", "camera.night.enabled"),
    *("camera.url", "camera.url_file", "microphone.url", "microphone.url_file", "network.proxy_file"),
    *("hooks.watched", "hooks.unwatched"),
}


def config(*values: dict[str, Any]) -> Config:
    """Return BASE with other values by their keys, with their tables."""
    data: dict[str, Any] = {name: dict(table) for name, table in BASE.items()}
    for key, value in (item for each in values for item in each.items()):
        *tables, name = key.split(".")
        table = data
        for each in tables:
            table = table.setdefault(each, {})
        table[name] = value
    return config_of(data)


def changed(key: str) -> tuple[Config, Config]:
    value, needed = OTHER[key]
    return config(needed), config(needed, {key: value})


@pytest.mark.parametrize("key", KEYS)
def test_each_key_has_one_class_which_the_diff_gives(key: str) -> None:
    assert len([mark for mark in KEYS[key].metadata if isinstance(mark, ChangeClass)]) == 1
    old, new = changed(key)
    [change] = diff(old, new)
    assert (change.key, change.needs) == (key, class_of(key))
    assert change.old != change.new
    [back] = diff(new, old)
    assert (back.key, back.old, back.new) == (key, change.new, change.old)
    assert back.needs is (ChangeClass.REJOIN if key == "camera.bitrate_max_bps" else change.needs)  # see below
    assert "zq-secret" not in repr(change)


@pytest.mark.parametrize("key", KEYS)
def test_each_key_is_in_the_commented_configuration(key: str) -> None:
    *tables, name = key.split(".")
    table = tomllib.loads(re.sub(r"(?m)^# (\w+ = )", r"\1", SHIPPED.read_text()))
    for each in tables:
        table = table[each]
    assert name in table


def test_the_classes() -> None:
    """The first of each class; each key's own class stands in the schema alone."""
    for key, expected in {
        "room.identity": ChangeClass.REJOIN,
        "camera.fps": ChangeClass.WORKER_RESTART,
        "camera.bitrate_max_bps": ChangeClass.LIVE,
        "camera.controls.AeEnable": ChangeClass.LIVE,
        "log.format": ChangeClass.PROCESS_RESTART,
    }.items():
        assert class_of(key) is expected


@pytest.mark.parametrize("key", ("", "camera", "camera.fsp", "fps", "room.url.x", "cameras.porch.fsp"))
def test_a_key_that_does_not_exist_has_no_class(key: str) -> None:
    with pytest.raises(KeyError):
        class_of(key)


@given(st.sets(st.sampled_from(sorted(set(OTHER) - _NEED_OTHERS))))
def test_the_diff_has_each_changed_key_once_in_order(chosen: set[str]) -> None:
    chosen -= {"credentials.endpoint"} if "credentials.api_key" in chosen else set()
    chosen -= {"credentials.api_secret", "credentials.api_secret_file"}
    new = config({key: OTHER[key][0] for key in chosen})
    assert [change.key for change in diff(config(), new)] == sorted(chosen)
    assert diff(new, new) == ()


@pytest.mark.parametrize("kind", ("camera", "microphone"))
def test_a_stream_that_is_added_or_removed_needs_a_new_process(kind: str) -> None:
    off = config({f"{kind}.source": "off"})
    for old, new in ((off, config()), (config(), off)):
        assert [(each.key, each.needs) for each in diff(old, new)] == [(f"{kind}.source", PROCESS_RESTART)]


def test_a_control_of_another_type_is_a_change() -> None:
    old, new = (config({"camera.controls": {"AeEnable": value}}) for value in (True, 1))
    assert [change.key for change in diff(old, new)] == ["camera.controls"]


def test_a_secret_is_masked_and_its_change_is_visible() -> None:
    old, new = (config({"credentials.endpoint": f"https://h/?key={key}"}) for key in ("zq-one", "zq-two"))
    [change] = diff(old, new)
    assert isinstance(change.new, Secret)
    assert change.new.get_secret_value() == "https://h/?key=zq-two"
    assert "zq-" not in f"{change} {change!r} {change.old} {change.new}"


def test_a_table_with_a_name_is_added_removed_and_changed() -> None:
    def with_cameras(**cameras: dict[str, Any]) -> Config:
        named = {name: {"source": "pattern"} | cameras[name] for name in cameras}
        return config_of(BASE | {"cameras": named})

    old = with_cameras(a={}, b={}, c={})
    new = with_cameras(b={"fps": 15}, c={}, d={"width": 640})
    assert [(each.key, each.needs, each.old is None, each.new is None) for each in diff(old, new)] == [
        ("cameras.a", PROCESS_RESTART, False, True),
        ("cameras.b.fps", ChangeClass.WORKER_RESTART, False, False),
        ("cameras.d", PROCESS_RESTART, True, False),
    ]
    assert diff(old, new)[2].new == {"source": "pattern", "width": 640}
    assert class_of("cameras.a") is PROCESS_RESTART
    assert class_of("cameras.a.fps") is ChangeClass.WORKER_RESTART


def test_the_keys_of_tables_with_names_are_those_of_the_first() -> None:
    """The same keys with the same classes, so that `_changes` needs no case for them."""
    for table in ("camera", "microphone"):
        own = {key.removeprefix(f"{table}.") for key in dict(keys()) if key.startswith(f"{table}.")}
        named = f"{table}s.NAME."
        assert {key.removeprefix(named) for key in dict(keys()) if key.startswith(named)} == own
        assert all(class_of(f"{table}s.x.{key}") is class_of(f"{table}.{key}") for key in own)
