"""The URL of a network stream: where it may be set, whose it is, and that nothing shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from device import cli
from device.boot.content import interpreted
from device.config import loading
from device.config.stream_urls import missing_urls
from device.errors import ConfigError
from device.redaction import redacted
from device.report.secrets import learn, masked
from device.settings import load as load_settings
from device.streams.plan import plan_streams
from device.telemetry.attributes import Attributes

if TYPE_CHECKING:
    from pathlib import Path

    from device.config.effective import Config

URL = "rtsp://admin:zq-pass77@192.0.2.7/zq-stream1"
ROOM = '[room]\nurl = "wss://room.example"\nname = "r"\n[credentials]\napi_key = "k"\napi_secret = "s3"\n'


def config(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "device.toml"
    path.write_text(ROOM + text)
    path.chmod(0o600)
    return loading.load(path)


def jobs(config: Config, camera_url_file: str = "") -> dict[str, Any]:
    return {each.name: each.worker.job for each in plan_streams(config, camera_url_file=camera_url_file)}


def test_the_worker_gets_the_url_and_no_text_has_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = config(tmp_path, f'[camera]\nsource = "stream"\nurl = "{URL}"\n[microphone]\nsource = "stream"\n')
    planned = jobs(found)
    assert [each.url for each in planned.values()] == [URL, URL]
    for option in ((), ("--json",)):
        assert cli.main(["config", "--config", str(tmp_path / "device.toml"), *option]) == 0
    assert "zq-" not in f"{found!r} {planned!r} {capsys.readouterr().out} {plan_streams(found)!r}"


def test_a_microphone_has_the_url_of_the_first_camera(tmp_path: Path) -> None:
    text = '[camera]\nsource = "stream"\nurl_file = "one"\n[cameras.yard]\nsource = "stream"\nurl = "rtsp://h/2"\n'
    sound = '[microphone]\nsource = "stream"\n[microphones.x]\nsource = "stream"\n'
    own = '[microphones.y]\nsource = "stream"\nurl = "rtsp://h/3"\n'
    planned = jobs(config(tmp_path, text + sound + own))
    assert [planned[name].url_file for name in ("camera", "microphone", "x")] == [str(tmp_path / "one")] * 3
    assert (planned["yard"].url, planned["y"].url) == ("rtsp://h/2", "rtsp://h/3")


@pytest.mark.parametrize(
    ("text", "why"),
    (
        (f'source = "stream"\nurl = "{URL}"\nurl_file = "f"', "url and url_file are both set"),
        (f'source = "pattern"\nurl = "{URL}"', 'url is set, but source = "pattern" does not use it'),
        ('source = "stream"\nurl = "file:///etc/zq-x"', "must begin with one of rtsp://"),
        (f'source = "stream"\nurl = "{URL}"\nencoder = "v4l2"', "use x264 or auto"),
        (f'source = "file"\npath = "{URL}"', "is a URL; allowed is the path of a file"),
    ),
)
def test_contradictions_are_named_without_the_url(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, f"[camera]\n{text}\n")
    assert why in str(caught.value)
    assert "zq-" not in str(caught.value)


def test_the_credential_is_the_url_of_the_first_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, '[camera]\nsource = "stream"\n')
    path = tmp_path / "device.toml"
    with pytest.raises(ConfigError, match='source = "stream" needs url or url_file'):
        load_settings(path, Attributes())
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "livekit_camera_url").write_text(URL)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    settings = load_settings(path, Attributes())
    assert jobs(settings.config, settings.camera_url_file)["camera"].url_file == str(folder / "livekit_camera_url")
    named = config(tmp_path, '[camera]\nsource = "off"\n[cameras.a]\nsource = "stream"\n')
    assert [each.place for each in missing_urls(path, named, settings.camera_url_file)] == [f"{path}: cameras.a"]


def test_the_boot_partitions_url_becomes_a_credential(tmp_path: Path) -> None:
    path = tmp_path / "livekit-device.toml"
    content = interpreted(path, f'{ROOM}[camera]\nsource = "stream"\nurl = "{URL}"\n'.encode())
    assert content.camera_url == URL
    assert "zq-" not in f"{content.config_text} {content!r}"
    with pytest.raises(ConfigError) as caught:
        interpreted(path, f'{ROOM}[cameras.a]\nsource = "stream"\nurl = "{URL}"\n'.encode())
    assert "cameras.a.url: is not allowed on the boot partition except for [camera]" in str(caught.value)
    with pytest.raises(ConfigError, match=r"camera.url_file: must begin with /"):
        interpreted(path, f'{ROOM}[camera]\nsource = "stream"\nurl_file = "f"\n'.encode())


def test_a_report_has_no_url(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("rtsp://u:zq-other@h/zq-path\n")
    path = tmp_path / "device.toml"
    config(tmp_path, f'[camera]\nsource = "stream"\nurl = "{URL}"\n')
    (tmp_path / "device.toml.d").mkdir()
    (tmp_path / "device.toml.d/a.toml").write_text('[cameras.b]\nsource = "stream"\nurl_file = "../url"\n')
    learn(path, {"DEVICE_MICROPHONE__URL": "http://u:zq-third@h/zq-q"})
    text = "zq-pass77 /zq-stream1 zq-other rtsp://u:zq-other@h/zq-path zq-third"
    assert "zq-" not in redacted(text)
    data: dict[str, Any] = {"camera": {"url": URL}, "cameras": {"a": {"url": URL}}, "room": {"url": "wss://h"}}
    assert "zq-" not in json.dumps(masked(data))
    assert masked(data)["room"]["url"] == "wss://h"
    assert data["camera"]["url"] == URL
