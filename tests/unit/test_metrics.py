"""The metrics that Prometheus reads: their text, the server, and the file."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from pydantic import ValidationError
from structlog.testing import capture_logs

from device.config.effective import Metrics
from device.metrics import text_file
from device.metrics.exposition import Exposition
from device.metrics.families import SPEAKER, families
from device.metrics.http_server import MetricsServer
from device.metrics.service import run_metrics
from device.metrics.text_file import TextFile
from device.speaker import plan
from device.telemetry.attributes import Attributes
from tests.support.configs import config_of
from tests.support.ports import free_port
from tests.unit.metrics_samples import readings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from prometheus_client.core import Metric

    from device.metrics.reader import Reader
    from device.metrics.readings import Readings

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str, *, modern: bool = True) -> Samples:
    parse: Callable[[str], Iterable[Metric]] = openmetrics if modern else plain
    found = parse(text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in found for each in family.samples}


def of(found: Samples, name: str, **labels: str) -> float:
    return found[f"livekit_device_{name}", frozenset(labels.items())]


def text_of(given: Readings, accept: str = "application/openmetrics-text") -> str:
    return Exposition(lambda: given).answer(accept)[1].decode()


@pytest.mark.parametrize("modern", (True, False))
def test_both_formats_have_the_figures(modern: bool) -> None:  # noqa: FBT001 - a parameter of a test
    found = samples(text_of(readings(), "application/openmetrics-text" if modern else "*/*"), modern=modern)
    assert of(found, "state", state="live") == 1
    assert of(found, "state", state="recovering") == 0
    assert of(found, "stream_state", stream="microphone", state="not_present") == 1
    assert of(found, "stream_frame_age_seconds", stream="camera", stage="acknowledged") == 0.05
    assert of(found, "stream_dropped_total", stream="camera", cause="late") == 3
    assert of(found, "worker_restarts_total", stream="camera", reason="stalled") == 1
    assert of(found, "rejoins_total", reason="server_away") == 2
    assert of(found, "rejoins_total", reason="other") == 0
    assert of(found, "stream_target_bytes_per_second", stream="camera") == 250_000
    assert of(found, "board_throttled", reason="under_voltage") == 1
    assert of(found, "board_throttled", reason="throttled") == 0
    assert of(found, "speaker_state", state="live") == 1
    assert of(found, "speaker_state", state="absent") == 0
    assert of(found, "speaker_talkers") == 1
    assert of(found, "worker_restarts_total", stream="speaker", reason="failed") == 4
    assert of(found, "worker_resident_memory_bytes", stream="speaker") == 30_000_000
    assert of(found, "worker_resident_memory_bytes", stream="camera") == 40_000_000
    assert of(found, "stream_watched", stream="camera") == 1
    assert of(found, "stream_watched_seconds_total", stream="camera") == 30.5
    assert ("livekit_device_stream_watched", frozenset({("stream", "microphone")})) not in found
    assert ("livekit_device_stream_width_pixels", frozenset({("stream", "microphone")})) not in found


def test_what_is_not_known_has_no_sample() -> None:
    unknown = {"temperature_celsius": None, "throttled": None, "round_trip_s": None, "memory_bytes": None}
    bare = readings(**unknown, streams=(), speaker=None)
    names = {name for name, _ in samples(text_of(bare))}
    assert not {name for name in names if re.search("board|round_trip|memory|_stream_|_speaker|_worker", name)}
    assert "livekit_device_uptime_seconds" in names


def test_each_metric_is_documented_with_its_labels() -> None:
    rows = re.findall(r"^\| `(livekit_device_\w+)` \| (.*?) \|", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    found: dict[str, set[str]] = {}
    for family in families(readings()):
        for each in family.samples:
            found.setdefault(each.name, set()).update(each.labels)
    assert documented == found


def test_the_speaker_has_the_name_of_its_worker_which_no_stream_can_have() -> None:
    assert SPEAKER == plan.NAME
    with pytest.raises(ValidationError, match="is the name of the table"):
        config_of({"room": {"url": "ws://127.0.0.1:7880", "name": "lab"}, "cameras": {SPEAKER: {}}})


def test_each_state_is_documented() -> None:
    document = DOCUMENT.read_text()
    for name in ("state", "room_state", "stream_state", "stream_publication", "speaker_state"):
        (row,) = re.findall(rf"^\| `livekit_device_{name}` \| (.*)$", document, re.MULTILINE)
        states = {
            each.labels["state"]
            for family in families(readings())
            for each in family.samples
            if each.name == f"livekit_device_{name}"
        }
        assert states <= set(re.findall(r"`(\w+)`", row)), name


def test_the_text_is_made_once_a_second_however_often_it_is_asked_for() -> None:
    now, reads = 0.0, 0

    def read() -> Readings:
        nonlocal reads
        reads += 1
        return readings()

    exposition = Exposition(read, lambda: now)
    for _ in range(1000):
        exposition.answer("application/openmetrics-text")
        exposition.answer("application/openmetrics-text;version=7.0.0,text/plain;version=2.0.0")
        exposition.answer("text/plain")
    assert reads == 2
    now = 1.0
    exposition.text()
    assert reads == 3


class FakeReader:
    """Reads the same figures again and again, or fails."""

    fails = False

    def read(self) -> Readings:
        if self.fails:
            raise RuntimeError("no figures")
        return readings()


async def until(holds: Callable[[], object]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not happen")


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[None]:
    server = asyncio.create_task(MetricsServer(f"127.0.0.1:{port}", Exposition(readings).answer).run())
    for _ in range(200):
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            break
        except OSError:
            await asyncio.sleep(0.01)
    yield
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


async def asked(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(8):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_the_server_answers_scrapes_and_nothing_else() -> None:
    async def scenario() -> None:
        port = free_port()
        async with serving(port):
            accept = b"Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n"
            head, _, body = (await asked(port, b"GET /metrics?x=1 HTTP/1.1\r\n" + accept + b"\r\n")).partition(
                b"\r\n\r\n"
            )
            assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0")
            assert f"Content-Length: {len(body)}".encode() in head
            assert of(samples(body.decode()), "state", state="live") == 1
            head, _, body = (await asked(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
            assert b"text/plain; version=0.0.4" in head
            assert body == b""
            assert (await asked(port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")
            assert (await asked(port, b"POST /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405")
            assert (await asked(port, b"\r\n\r\n")).startswith(b"HTTP/1.1 405")
            assert await asked(port, b"GET /" + b"x" * 100_000) == b""
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(9)]
            await asyncio.sleep(0.05)
            assert (await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 503")
            for _, writer in idle:
                writer.close()

    asyncio.run(scenario())


def test_a_port_in_use_is_logged_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.metrics.http_server._AGAIN_S", 0.05)
    port = free_port()

    async def scenario() -> None:
        with closing(socket.create_server(("127.0.0.1", port))):
            server = asyncio.create_task(MetricsServer(f"127.0.0.1:{port}", Exposition(readings).answer).run())
            await until(lambda: logs)
        await until(lambda: logs[-1]["event"] == "metrics.serving")
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert (logs[0]["event"], logs[0]["why"]) == ("metrics.not_served", "Address already in use")
    assert logs[-1]["url"] == f"http://127.0.0.1:{port}/metrics"


def test_the_file_is_replaced_as_a_whole_and_removed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_file, "_INTERVAL_S", 0.01)
    path, elsewhere = tmp_path / "device.prom", tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "device.prom.new").symlink_to(elsewhere)

    async def scenario() -> None:
        writing = asyncio.create_task(TextFile(str(path), Exposition(readings).text).run())
        await until(path.exists)
        first = path.stat().st_ino
        assert of(samples(path.read_text(), modern=False), "state", state="live") == 1
        assert path.stat().st_mode & 0o777 == 0o644
        await until(lambda: path.stat().st_ino != first)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    before = os.umask(0o077)
    try:
        asyncio.run(scenario())
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == [elsewhere]
    assert elsewhere.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "_INTERVAL_S", 0.001)

    async def scenario() -> None:
        writing = asyncio.create_task(TextFile(str(tmp_path / "none/device.prom"), Exposition(readings).text).run())
        await asyncio.sleep(0.1)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert [(each["event"], each["why"]) for each in logs] == [
        ("metrics.file_not_written", "No such file or directory")
    ]


def test_without_prometheus_client_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "device.metrics.exposition")
    attributes, reader = Attributes(), FakeReader()
    config = Metrics(bind="127.0.0.1:1", textfile=str(tmp_path / "device.prom"), health=True)

    async def scenario() -> None:
        measuring = asyncio.create_task(run_metrics(config, cast("Reader", reader), attributes))
        await until(attributes.snapshot)
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert [(each["event"], each["why"]) for each in logs] == [
        ("metrics.unavailable", "prometheus_client is not installed")
    ]
    assert attributes.snapshot()["device.health"].startswith('{"state":"live"')


def test_a_part_that_fails_is_logged_and_begins_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("device.metrics.service._AGAIN_S", 0.01)
    path, reader = tmp_path / "device.prom", FakeReader()
    reader.fails = True

    async def scenario() -> None:
        config = Metrics(bind="", textfile=str(path), health=True)
        measuring = asyncio.create_task(run_metrics(config, cast("Reader", reader), attributes))
        await until(lambda: len(logs) > 3)
        reader.fails = False
        await until(lambda: path.exists() and attributes.snapshot())
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)

    attributes = Attributes()
    with capture_logs() as logs:
        asyncio.run(scenario())
    assert {each["event"] for each in logs} == {"metrics.part_failed"}
    assert {each["part"] for each in logs} == {"health", "file"}


def test_the_daemon_loads_nothing_of_it_unless_it_is_on() -> None:
    program = "import sys, device.daemon, device.room.connection, device.reload.running, device.control.performer\n"
    program += "print([name for name in sys.modules if name.startswith(('prometheus', 'device.metrics'))])"
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
