"""The shape of the code: sizes of modules, imports in one direction, and constants that have to agree."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from statistics import median
from typing import get_args

import pytest

import device
from device.config import capture_rules, schema
from device.encoders import bitrate_budget, x264, x264_presets
from device.ipc import process, worker_process
from device.lifecycle import enforcer, signals
from device.network import probe
from device.room import connection, publications, session, session_monitor
from device.tokens import endpoint
from device.tracks import encoder_control, ladder

ROOT = Path(device.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
# Each part imports only parts that stand before it.
ORDER = (
    *(
        "errors",
        "userinfo",
        "redaction",
        "log_throttle",
        "log_memory",
        "log",
        "printable",
        "process_start",
        "timeline",
        "secret_file",
        "transaction",
        "backoff",
        "clock",
        "heap",
        "memory",
        "unit_directories",
        "state_directory",
        "privacy",
        "identity",
        "board",
        "stream_url",
        "proxy_url",
        "arguments",
        "native_output",
        "native_sdk",
    ),
    *("media", "config", "lifecycle", "network", "ipc", "commands", "encoders", "sources", "workers"),
    *("telemetry", "tokens", "settings", "tracks", "room", "streams", "reload", "show_config", "control", "speaker"),
    *("talkback", "metrics", "interfaces", "privileges", "devices", "app", "daemon", "check", "reload_command", "boot"),
    *("viewer", "fleet", "setup", "report", "cli"),
)
UNIT = ROOT.parent / "systemd" / "livekit-device.service"


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Return the parts of this package that a module imports when it runs."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(inner)
        for each in ast.walk(tree)
        if isinstance(each, ast.If) and isinstance(each.test, ast.Name) and each.test.id == "TYPE_CHECKING"
        for inner in ast.walk(each)
    }
    found = set()
    for each in ast.walk(tree):
        if id(each) in for_types:
            continue
        if isinstance(each, ast.ImportFrom) and each.module and each.module.startswith("device"):
            names = [each.module] if "." in each.module else [f"device.{alias.name}" for alias in each.names]
            found |= {name.split(".")[1] for name in names}
        elif isinstance(each, ast.Import):
            found |= {alias.name.split(".")[1] for alias in each.names if alias.name.startswith("device.")}
    return {name for name in found if not name.startswith("_")}


def test_modules_are_short() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert {str(path): count for path, count in lines.items() if count > 250} == {}
    assert median(lines.values()) < 120


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    if part in ("__init__", "__main__"):
        return
    later = {name for name in imports(path) if ORDER.index(name) > ORDER.index(part)}
    assert later == set()


@pytest.mark.parametrize("part", ("sources", "encoders", "media", "workers"))
def test_what_captures_knows_nothing_of_rooms(part: str) -> None:
    for path in (ROOT / part).glob("*.py"):
        text = path.read_text()
        assert not re.search(r"device\.(room|tracks|tokens|streams|telemetry)\b", text), path
        assert "livekit" not in text.replace("livekit-device", ""), path


def test_an_ordered_end_fits_the_units_time_to_stop() -> None:
    given_s = float(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)[0])
    leaving_s = session._PENDING_JOIN_S + session._LEAVE_S
    ending_workers_s = worker_process._CLOSE_S + process._KILL_S
    assert leaving_s + ending_workers_s < signals._END_S < given_s


def test_the_process_and_the_units_watchdog_give_a_hang_the_same_time() -> None:
    given_s = float(re.findall(r"^WatchdogSec=(\d+)$", UNIT.read_text(), re.MULTILINE)[0])
    assert given_s == enforcer.GRACE_S


def test_the_longest_pause_of_an_encoder_is_no_stall_of_the_camera() -> None:
    assert bitrate_budget.LONGEST_PAUSE_S <= capture_rules.LONGEST_PAUSE_S
    assert capture_rules.SLOWEST_FPS == ladder.SLOWEST_FPS
    for fps in (1, 5, 10, 30, 120):
        camera = schema.Camera(fps=fps)
        slowest_fps = min(fps, ladder.SLOWEST_FPS)
        assert capture_rules.least_camera_stall_s(camera) > bitrate_budget.LONGEST_PAUSE_S + 1 / slowest_fps


def test_an_encoder_gets_a_new_buffer_before_the_bitrate_is_far_from_it() -> None:
    """A key frame is asked for at these distances; x264 then opens with a buffer that fits, if it no longer did."""
    assert encoder_control._FAR_BELOW < 1 / x264._VBV_TOLERANCE
    assert x264._VBV_TOLERANCE < encoder_control._FAR_ABOVE


def test_the_configuration_allows_the_presets_that_the_encoder_offers() -> None:
    assert get_args(schema.X264Preset) == (*x264_presets.PRESETS, x264_presets.AUTO)
    assert schema.Camera().x264_preset == x264_presets.FASTEST


def test_a_publication_that_hangs_ends_before_a_join_counts_as_stuck() -> None:
    sdk_add_track_s = 10.0  # livekit 1.2.1: the SDK's own limit, whose error says more than ours
    assert sdk_add_track_s < publications.PUBLISH_S < session_monitor._STUCK_S


def test_the_rooms_deadlines_are_longer_than_its_longest_steps() -> None:
    tries = 3
    assert tries * endpoint._TIMEOUT_S < connection._STEP_DUE_S
    assert connection._LONGEST_WAIT_S < connection._STEP_DUE_S
    # The monitor probes at most twice between two extensions of its deadline.
    assert 2 * probe.LIMIT_S + 2.0 < connection._MONITOR_DUE_S


def test_programs_that_stand_beside_others_import_the_standard_library() -> None:
    """Another interpreter runs some of these by path, and then looks for modules in their folder first."""
    support = ROOT.parent / "tests" / "support"
    assert [each.name for each in support.glob("*.py") if each.stem in sys.stdlib_module_names] == []
