"""`livekit-device config`: values, where they are from, secrets masked, and the difference to the running daemon."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from debian.key_table import rows
from debian.manual import Stamp, configuration_page
from device import cli
from device.config import loading
from device.config.description import MASK
from device.config.diff import diff
from device.config.schema_keys import class_of, described, keys
from device.errors import DeviceError
from device.redaction import MARK, redacted
from device.report import secrets, sections
from device.telemetry import running_config
from device.telemetry.running_config import RunningConfig

if TYPE_CHECKING:
    from pathlib import Path

MAIN = """\
[room]
url = "wss://room.example"
name = "r"
[credentials]
api_key = "k"
api_secret = "zq-first-secret"
[camera]
source = "pattern"
fps = 10
[cameras.garden]
source = "pattern"
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running_config, "SERVICE_PATH", tmp_path / "config.json")
    for each in (running_config.read, running_config.temporary):
        monkeypatch.setattr(each, "__defaults__", (tmp_path / "config.json",))
    path = tmp_path / "device.toml"
    path.write_text(MAIN)
    path.chmod(0o600)
    return path


def start(path: Path) -> None:
    """Write what a daemon with this configuration writes."""
    RunningConfig.of_environment({"RUNTIME_DIRECTORY": str(path.parent)}).write(loading.load(path), ())


def shown(capsys: pytest.CaptureFixture[str], path: Path, *options: str, code: int = 0) -> str:
    assert cli.main(["config", "--config", str(path), *options]) == code
    captured = capsys.readouterr()
    assert "zq-" not in captured.out + captured.err
    return captured.out + captured.err


def test_each_value_has_its_place(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (path.parent / "device.toml.d").mkdir()
    (path.parent / "device.toml.d/site.toml").write_text("[camera]\nheight = 480\n")
    monkeypatch.setenv("DEVICE_CAMERA__WIDTH", "640")
    lines = {line.split()[0]: line.split()[1:] for line in shown(capsys, path).splitlines()}
    assert lines["camera.fps"] == ["10", str(path)]
    assert lines["camera.height"] == ["480", str(path.parent / "device.toml.d/site.toml")]
    assert lines["camera.width"] == ["640", "DEVICE_CAMERA__WIDTH"]
    assert lines["camera.device"] == ['""', "default"]
    assert lines["cameras.garden.source"] == ['"pattern"', str(path)]
    assert lines["credentials.api_secret"] == ['"********"', str(path)]
    found = json.loads(shown(capsys, path, "--json"))
    assert found["camera.width"] == {
        "value": 640,
        "layer": "environment",
        "place": "DEVICE_CAMERA__WIDTH",
        "needs": "worker restart",
        "remote": True,
    }
    assert found["credentials.api_secret"]["value"] == MASK
    assert {key for key, _ in keys() if ".NAME" not in key} <= set(found)


def test_without_a_running_daemon_there_is_nothing_to_compare_with(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "not running" in shown(capsys, path, "--diff", code=3)
    start(path)
    content = json.loads((path.parent / "config.json").read_text())
    (path.parent / "config.json").write_text(json.dumps(content | {"started": content["started"] - 1}))
    assert "not running" in shown(capsys, path, "--diff", code=3)  # another process has its number now


def test_the_difference_to_the_running_daemon(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(path)
    assert shown(capsys, path, "--diff") == "a reload would change nothing\n"
    text = MAIN.replace("fps = 10", "fps = 12\nbitrate_max_bps = 900_000").replace("zq-first", "zq-second")
    path.write_text(text.replace("[cameras.garden]", "[cameras.yard]"))
    found = [re.split(r"  +", line) for line in shown(capsys, path, "--diff").splitlines()]
    assert found == [
        ["key", "running", "after a reload", "needs"],
        ["camera.bitrate_max_bps", "2500000", "900000", "live"],
        ["camera.fps", "10", "12", "worker restart"],
        ["cameras.garden", '{ source = "pattern" }', "-", "process restart"],
        ["cameras.yard", "-", '{ source = "pattern" }', "process restart"],
        ["credentials.api_secret", '"********"', '"********"', "rejoin"],
    ]
    plain: list[dict[str, Any]] = json.loads(shown(capsys, path, "--diff", "--json"))
    assert plain[1] == {"key": "camera.fps", "running": 10, "new": 12, "needs": "worker restart"}


def test_defaults_that_are_raised_by_others_are_no_contradiction(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(MAIN.replace("fps = 10", "fps = 1"))
    start(path)
    assert shown(capsys, path, "--diff") == "a reload would change nothing\n"


@pytest.mark.parametrize(
    ("old", "new"),
    (
        ('endpoint = "https://h/?k=zq-1"', 'endpoint = "https://h/?k=zq-2"'),
        ('endpoint = "https://h/?k=zq-1"', 'token_file = "/t"'),
        ('token_file = "/t"', 'endpoint = "https://h/?k=zq-2"'),
    ),
)
def test_a_changed_secret_is_a_change_without_the_secret(path: Path, old: str, new: str) -> None:
    room = '[room]\nurl = "wss://h"\nname = "r"\n[credentials]\n'
    path.write_text(room + old)
    start(path)
    before = loading.load(path)
    file = path.parent / "config.json"
    assert "zq-" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    path.write_text(room + new)
    now = loading.load(path)
    running = running_config.read(now, file)
    assert running is not None
    assert [each.key for each in diff(running, now)] == [each.key for each in diff(before, now)]


@pytest.mark.parametrize("text", ("", "[]", "{}", '{"pid": 1, "started": 0, "key": "zz", "values": {}}', "[" * 9000))
def test_a_damaged_file_is_an_error_with_a_remedy(path: Path, text: str) -> None:
    (path.parent / "config.json").write_text(text)
    with pytest.raises(DeviceError, match="is damaged; restart the service"):
        running_config.read(loading.load(path), path.parent / "config.json")


def test_another_versions_keys_are_an_error_with_a_remedy(path: Path) -> None:
    start(path)
    content = json.loads((path.parent / "config.json").read_text())
    content["values"]["camera.gone"] = 1
    (path.parent / "config.json").write_text(json.dumps(content))
    with pytest.raises(DeviceError, match="of another version; restart the service"):
        running_config.read(loading.load(path), path.parent / "config.json")


def test_a_file_that_cannot_be_written_is_ignored(path: Path) -> None:
    RunningConfig(path.parent / "none" / "config.json").write(loading.load(path), ())
    RunningConfig.of_environment({}).write(loading.load(path), ())
    assert [each.name for each in path.parent.iterdir()] == ["device.toml"]


def test_the_manual_has_each_key_with_its_class() -> None:
    page = configuration_page(Stamp(version="0", date="2026-01-01"), "# title: x\n#\n# a\n\n[room]\n# a\nkey = 1\n")
    listed = {line.split("\t")[0]: line.split("\t") for line in page.splitlines() if "\t" in line}
    for key, _ in keys():
        if ".NAME." not in key:
            assert listed[key][2].replace("\\", "") == class_of(key).value
            assert listed[key][3] == ("set" if described()[key].remote else "")
    assert {row[0]: row[1:3] for row in rows()}["camera.fps"] == ("1 to 120", "30")
    assert {row[0]: row[1:3] for row in rows()}["room.url"] == ("text", "required")


def test_a_report_has_all_files_with_their_secrets_masked(path: Path) -> None:
    folder = path.parent / "device.toml.d"
    folder.mkdir()
    (folder / "a.toml").write_text('[camera]\nheight = 480\n[credentials]\napi_secret = "zq-third-secret"\n')
    text = sections.configuration(path)
    assert f"{path}: it is valid" in text
    assert f"{folder}/a.toml:" in text
    assert "height = 480" in text
    assert "zq-" not in text
    secrets.learn(path, {})
    assert redacted("zq-third-secret") == MARK
