"""What a reload does: the decision, the order of reloads, refusals, and when it is reverted."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from device.config import loading
from device.config.diff import ChangeClass, diff
from device.lifecycle.memory_policy import Files
from device.reload.decision import Decision, decide
from device.reload.files import ReloadFiles
from device.reload.revert import Action, RevertPolicy
from device.streams.plan import plan_streams
from tests.support.reload_scene import BASE, Scene, hurry, written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from device.config.effective import Config


def decided(path: Path, old: dict[str, str], new: dict[str, str]) -> Decision:
    before, after = (loading.load(written(path, **each)) for each in (old, new))
    return decide(diff(before, after), *(plan_streams(each, epoch_us=0) for each in (before, after)))


@pytest.mark.parametrize(
    ("old", "new", "restart", "rejoin", "end"),
    (
        ({}, {}, (), False, False),
        ({}, {"camera": "bitrate_max_bps = 500_000"}, (), False, False),
        ({"camera": "bitrate_max_bps = 500_000"}, {}, ("camera",), True, False),
        ({}, {"camera": "fps = 10"}, ("camera",), False, False),
        ({}, {"microphone": "gain_db = 3"}, (), False, False),
        ({}, {"microphone": "channels = 2"}, (), False, True),
        ({}, {"camera": "fps = 10", "microphone": 'device = "x"'}, ("camera", "microphone"), False, False),
        ({}, {"room": 'display_name = "Porch"'}, ("camera",), True, False),  # the pattern shows it
        ({"room": "identity = 'a'"}, {"room": "identity = 'a'\ndisplay_name = 'b'"}, (), True, False),
        ({}, {"camera": "controls = {AeEnable = true}"}, (), False, False),
        ({"camera": "controls = {AeEnable = true}"}, {}, ("camera",), False, False),
        ({"camera": "controls = {AeEnable = true}"}, {"camera": "controls = {AeEnable = false}"}, (), False, False),
    ),
)
def test_a_reload_does_the_least_that_the_changes_need(
    tmp_path: Path, old: dict[str, str], new: dict[str, str], restart: tuple[str, ...], *, rejoin: bool, end: bool
) -> None:
    decision = decided(tmp_path / "device.toml", old, new)
    assert (decision.restart, decision.rejoin, decision.end_process) == (frozenset(restart), rejoin, end)


def test_the_url_of_the_camera_is_also_the_microphones(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"

    def streaming(url: str) -> Config:
        text = BASE.format(camera=f'url = "{url}"', microphone="")
        path.write_text(text.replace('"pattern"', '"stream"').replace('"tone"', '"stream"'))
        return loading.load(path)

    old, new = streaming("rtsp://h/1"), streaming("rtsp://h/2")
    decision = decide(diff(old, new), *(plan_streams(each, epoch_us=0) for each in (old, new)))
    assert decision.restart == {"camera", "microphone"}


def test_a_rejoin_names_the_keys_that_need_it(tmp_path: Path) -> None:
    decision = decided(tmp_path / "device.toml", {}, {"room": 'display_name = "Porch"', "camera": "fps = 10"})
    assert decision.why_rejoin == "the configuration changed: room.display_name"
    assert decision.text == "camera.fps, room.display_name"


def simulated(
    states: Callable[[float], bool], server: Callable[[float], bool], *, until_s: float
) -> tuple[Action, float]:
    """Return what is decided about a reload at 0, and when, in virtual time."""
    policy, now = RevertPolicy(after_s=60, began_at=0.0), 0.0
    while now < until_s:
        action = policy.next(now, live=states(now))
        if action in (Action.KEEP, Action.REVERT):
            return action, now
        if action is Action.PROBE:
            policy.probed(now, answered=server(now))
        now += 1.0
    return Action.WAIT, now


@pytest.mark.parametrize(
    ("what", "live", "server", "expected"),
    (
        ("live again soon", lambda now: now > 3, lambda _: True, (Action.KEEP, 9.0)),
        ("never left", lambda _: True, lambda _: True, (Action.KEEP, 5.0)),
        ("never live again", lambda _: False, lambda _: True, (Action.REVERT, 61.0)),
        ("live for moments only", lambda now: now % 6 < 4, lambda _: True, (Action.REVERT, 65.0)),
        ("live just in time", lambda now: now >= 59, lambda _: True, (Action.KEEP, 64.0)),
        ("the old server is away, for ever", lambda _: False, lambda _: False, (Action.WAIT, 3600.0)),
        # It answers from 300 s on; the device has 60 s again.
        ("the old server returns, the device does not", lambda _: False, lambda now: now > 300, (Action.REVERT, 361.0)),
        ("both return", lambda now: now > 330, lambda now: now > 300, (Action.KEEP, 336.0)),
    ),
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_a_reload_is_reverted_if_it_is_at_fault(
    what: str,  # noqa: ARG001 - the test's id
    live: Callable[[float], bool],
    server: Callable[[float], bool],
    expected: tuple[Action, float],
) -> None:
    action, at = simulated(live, server, until_s=3600)
    assert action is expected[0]
    assert abs(at - expected[1]) <= 6  # the steps of the simulation, and of probes


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    hurry(monkeypatch)
    return Scene(tmp_path)


def test_an_invalid_file_changes_nothing_and_each_problem_is_reported(scene: Scene) -> None:
    def act() -> None:
        written(scene.path, camera="fps = 0", microphone="channels = 3")
        scene.reloader.request()

    with capture_logs() as logs:
        scene.play(act, lambda: bool(scene.texts))
    problems = [each["problem"] for each in logs if each["event"] == "config.refused"]
    assert len(problems) == 2
    assert scene.applied == []
    assert scene.result.outcome == "refused"
    assert scene.result.problems == tuple(problems)
    assert "camera.fps" in scene.texts[0]
    assert "(and 1 more)" in scene.texts[0]


def test_what_a_worker_refuses_is_reported_like_an_invalid_file(scene: Scene) -> None:
    def act() -> None:
        scene.refuses = "camera.controls.X: this camera has no such control"
        written(scene.path, camera="controls = {X = 1}")
        scene.reloader.request()

    scene.play(act, lambda: bool(scene.texts))
    assert scene.result.outcome == "refused"
    assert scene.result.problems == ("device.toml: camera.controls.X: this camera has no such control",)


def test_a_request_during_a_reload_follows_it_and_the_last_files_are_in_effect(scene: Scene) -> None:
    def act() -> None:
        scene.slow_s = 0.1
        written(scene.path, camera="fps = 10")
        scene.reloader.request()

        def again() -> None:
            written(scene.path, camera="fps = 12")
            for _ in range(3):
                scene.reloader.request()

        asyncio.get_running_loop().call_later(0.05, again)

    scene.play(act, lambda: scene.settings.config.camera.fps == 12 and len(scene.texts) == 2)
    assert scene.loads == 3  # at the start, and for two reloads


def test_a_change_that_needs_a_new_process_ends_it(scene: Scene) -> None:
    def act() -> None:
        written(scene.path, microphone="channels = 2")
        scene.reloader.request()

    scene.play(act, lambda: scene.reloader.end_process.is_set() and bool(scene.texts))
    assert scene.applied == []
    assert scene.result.outcome == "restarts"


def _moved(scene: Scene, *, after_s: float = 0.1) -> None:
    """Reload into a room at a server where the device is never live, guarded."""
    scene.live_after = lambda url: url == "ws://one"
    scene.path.write_text(scene.path.read_text().replace("ws://one", "ws://two"))
    scene.files.ask(revert_after_s=after_s)
    scene.reloader.request()


def test_a_reload_after_which_the_device_is_not_live_is_reverted_loudly(scene: Scene) -> None:
    with capture_logs() as logs:
        scene.play(lambda: _moved(scene), lambda: len(scene.texts) == 2)
    assert scene.applied == ["room.url", "room.url"]
    assert scene.settings.config.room.url == ("ws://one",)
    assert "ws://two" in scene.path.read_text()
    assert "the files are not what is in effect" in scene.texts[1]
    assert [each["log_level"] for each in logs if each["event"] == "config.reverted"] == ["error"]
    assert (scene.result.outcome, scene.result.final) == ("reverted", True)


def test_the_files_are_obeyed_again_by_the_next_reload(scene: Scene) -> None:
    scene.play(lambda: _moved(scene), lambda: len(scene.texts) == 2)
    scene.play(scene.reloader.request, lambda: len(scene.texts) == 3)
    assert scene.settings.config.room.url == ("ws://two",)


def test_a_server_that_is_away_for_its_own_reasons_is_no_reason_to_revert(scene: Scene) -> None:
    scene.server_answers = False
    with capture_logs() as logs:
        scene.play(lambda: _moved(scene), lambda: [each["event"] for each in logs].count("config.not_reverted") >= 3)
    assert scene.settings.config.room.url == ("ws://two",)
    assert not scene.result.final


def test_a_device_that_was_not_live_before_is_not_reverted(scene: Scene) -> None:
    scene.live = False
    with capture_logs() as logs:
        scene.play(lambda: _moved(scene, after_s=0.02), lambda: bool(scene.texts))
    assert "config.not_guarded" in [each["event"] for each in logs]
    assert scene.result.final


def test_a_second_guarded_reload_reverts_to_what_was_live_last(scene: Scene) -> None:
    def act() -> None:
        _moved(scene, after_s=5)

        def again() -> None:
            written(scene.path, room='display_name = "Porch"')
            scene.path.write_text(scene.path.read_text().replace("ws://one", "ws://three"))
            scene.files.ask(revert_after_s=0.1)
            scene.reloader.request()

        asyncio.get_running_loop().call_later(0.1, again)

    scene.play(act, lambda: scene.settings.config.room.url == ("ws://one",) and len(scene.texts) == 3)


def test_a_guarded_reload_that_needs_a_new_process_is_refused(scene: Scene) -> None:
    def act() -> None:
        written(scene.path, microphone="channels = 2")
        scene.files.ask(revert_after_s=1)
        scene.reloader.request()

    scene.play(act, lambda: bool(scene.texts))
    assert not scene.reloader.end_process.is_set()
    assert scene.result.outcome == "refused"


@pytest.mark.parametrize(
    "text",
    (
        "",
        "[]",
        "{",
        '{"revert_after_s": 60}',
        '{"revert_after_s": 60, "at_s": 0}',
        '{"revert_after_s": "x", "at_s": NOW}',
        '{"revert_after_s": NaN, "at_s": NOW}',
        '{"revert_after_s": 1, "at_s": NOW}',
        '{"revert_after_s": 1e9, "at_s": NOW}',
        "[" * 100_000,
    ),
)
def test_a_request_file_with_anything_else_is_no_request_and_is_removed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reload-request.json"
    path.write_text(text.replace("NOW", str(time.monotonic())))
    assert ReloadFiles(tmp_path).take_request() is None
    assert not path.exists()


def test_a_request_is_taken_once_and_written_over_no_link(tmp_path: Path) -> None:
    files, precious = ReloadFiles(tmp_path), tmp_path / "precious"
    precious.write_text("x")
    (tmp_path / "reload-request.json").symlink_to(precious)
    (tmp_path / f".reload-request.json.{os.getpid()}").symlink_to(precious)
    assert files.take_request() is None
    (tmp_path / "reload-request.json").symlink_to(precious)
    files.ask(revert_after_s=60)
    assert precious.read_text() == "x"
    assert json.loads((tmp_path / "reload-request.json").read_text())["revert_after_s"] == 60
    assert files.take_request() == 60
    assert files.take_request() is None


def test_classes_are_ordered_by_what_they_need() -> None:
    assert [each.name for each in ChangeClass] == ["LIVE", "WORKER_RESTART", "REJOIN", "PROCESS_RESTART"]


def test_another_process_may_begin_only_with_files_that_are_in_effect(scene: Scene) -> None:
    def compared() -> Files:
        return asyncio.run(scene.reloader.compare())

    assert compared() is Files.IN_EFFECT
    written(scene.path, camera="fps = 10")
    assert compared() is Files.CHANGED
    written(scene.path, camera="fps = 0")
    assert compared() is Files.UNUSABLE
    written(scene.path)
    scene.play(lambda: _moved(scene), lambda: len(scene.texts) == 2)
    assert compared() is Files.UNUSABLE  # reverted
    scene.play(scene.reloader.request, lambda: len(scene.texts) == 3)
    assert compared() is Files.IN_EFFECT
