"""Metrics, health and the list of devices, of real daemons on a real server."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.livekit_server import Server

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str, parse: Callable[[str], Any]) -> Samples:
    return {
        (each.name, frozenset(each.labels.items())): each.value for family in parse(text) for each in family.samples
    }


def scraped(url: str) -> Samples:
    request = urllib.request.Request(url, headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        return samples(response.read().decode(), openmetrics)


def of(found: Samples, name: str, **labels: str) -> float:
    return found.get((f"livekit_device_{name}", frozenset(labels.items())), 0.0)


def until(holds: Callable[[], object], what: str) -> None:
    give_up_at = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < give_up_at, what
        time.sleep(0.2)


def the_figures_are_right(url: str, file: Path) -> None:
    def acknowledged() -> bool:
        found = scraped(url)
        return all(
            of(found, "stream_frame_age_seconds", stream=each, stage="acknowledged")
            and of(found, "stream_sent_bytes_per_second", stream=each)
            for each in ("camera", "microphone")
        )

    until(acknowledged, "both streams are acknowledged")
    found = scraped(url)
    assert of(found, "state", state="live") == 1
    assert of(found, "room_state", state="live") == 1
    for stream in ("camera", "microphone"):
        assert of(found, "stream_state", stream=stream, state="live") == 1
        assert of(found, "stream_publication", stream=stream, state="published") == 1
        assert of(found, "stream_sent_bytes_total", stream=stream) > 1000
        assert of(found, "worker_resident_memory_bytes", stream=stream) > 5e6
        for stage, most_s in (("captured", 1), ("encoded", 1), ("sent", 3), ("acknowledged", 8)):
            assert 0 < of(found, "stream_frame_age_seconds", stream=stream, stage=stage) < most_s, (stream, stage)
    assert of(found, "stream_width_pixels", stream="camera") == 1280
    assert of(found, "stream_target_bytes_per_second", stream="camera") > 0
    assert 0 <= found["livekit_device_round_trip_seconds", frozenset()] < 1  # whole milliseconds
    assert 2e7 < of(found, "resident_memory_bytes") < 5e8
    frames = of(found, "stream_frames_total", stream="camera")
    until(lambda: of(scraped(url), "stream_frames_total", stream="camera") > frames, "frames are counted")
    assert of(samples(file.read_text(), plain), "uptime_seconds") > 0


def fleet_is_listed(room: str, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Wait until both devices are listed as live; return them."""
    listing: dict[str, Any] = {}

    def both_are_live() -> bool:
        nonlocal listing
        done = command("fleet", "--json", "--room", f"{room[:-1]}?", variables=variables)
        listing = json.loads(done.stdout)
        return done.returncode == 0 and len(listing["devices"]) == 2

    until(both_are_live, "both are live")
    assert (listing["rooms"], listing["problems"]) == (1, [])
    devices: list[dict[str, Any]] = listing["devices"]
    return devices


def watched(variables: Mapping[str, str], room: str) -> str:
    """Return what `fleet --watch` has written to a terminal of 60 characters before a Ctrl-C."""
    ours, theirs = pty.openpty()
    coloured = {name: value for name, value in variables.items() if name != "NO_COLOR"}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "device", "fleet", "--room", room, "--watch", "1"],
            env=coloured | {"TERM": "xterm", "COLUMNS": "60"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        text = b""
        while text.count(b"\033[2J") < 2:
            assert select.select([terminal], [], [], 20)[0], text
            text += terminal.read(4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    return text.decode()


def test_two_devices_are_measured_and_listed(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "device.prom"
    first = daemons.environment(
        server,
        room,
        DEVICE_METRICS__BIND=f"127.0.0.1:{port}",
        DEVICE_METRICS__TEXTFILE=str(file),
        DEVICE_METRICS__HEALTH="true",
        DEVICE_CONFIG=str(config),
    )
    second = daemons.environment(server, room, DEVICE_ROOM__IDENTITY="second", DEVICE_MICROPHONE__SOURCE="off")
    url = f"http://127.0.0.1:{port}/metrics"
    with ExitStack() as stack:
        daemon, _ = (stack.enter_context(daemons.running(config, each)) for each in (first, second))
        daemon.event("metrics.serving", url=url)
        daemon.event("device.state", new="live")
        the_figures_are_right(url, file)

        device, plain_one = fleet_is_listed(room, first)
        assert (device["identity"], plain_one["identity"]) == ("device", "second")
        assert device["streams"] == {"camera": "live", "microphone": "live"}
        assert plain_one["streams"] == {"camera": "live"}
        assert plain_one["memory_mb"] is None
        assert 20 < device["memory_mb"] < 500
        assert 0 <= device["uptime_s"] < 120
        shown = command("fleet", "--room", room, variables=first)
        assert shown.stdout.split()[:3] == ["ROOM", "DEVICE", "STATE"]
        assert "\033" not in shown.stdout
        assert "\033[32mlive" in watched(first, room)

        mark = len(daemon.lines)
        os.kill(daemon.worker("camera"), signal.SIGKILL)
        daemon.event("worker.restarting", worker="camera", since=mark)
        until(
            lambda: of(scraped(url), "worker_restarts_total", stream="camera", reason="crashed") == 1,
            "the end of the worker is counted",
        )
        assert daemon.stop()[0] == 0
    assert not file.exists()
    assert [each for each in daemon.lines if each["level"] in ("error", "critical")] == []


def test_fleet_says_what_is_wrong(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room, DEVICE_CONFIG=str(config))
    empty = command("fleet", "--room", "no-such-*", variables=variables)
    assert empty.returncode == 1
    assert "no room that matches 'no-such-*'" in empty.stdout
    wrong = command("fleet", variables=variables | {"DEVICE_CREDENTIALS__API_SECRET": "x" * 32})
    assert wrong.returncode == 1
    assert "check api_key and api_secret" in wrong.stderr
    away = command("fleet", variables=variables | {"DEVICE_ROOM__URL": "ws://127.0.0.1:1"})
    assert away.returncode == 1
    assert "cannot be reached: Connection refused" in away.stderr
    without = {"DEVICE_CREDENTIALS__API_KEY": "", "DEVICE_CREDENTIALS__API_SECRET": ""}
    none = command("fleet", variables=variables | without | {"DEVICE_CREDENTIALS__TOKEN_FILE": "/dev/null"})
    assert none.returncode == 78
    assert "the list of devices needs api_key and api_secret" in none.stderr
