"""Debian's coturn, tinyproxy and Prometheus with the device and a real server: `make integration`, by hand.

The router lets the devices through to what a row names, and to nothing else: a picture proves that media takes that
way.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import Device, device
from tests.faults.foreign import PROXY_PASSWORD, PROXY_PORT, TURN_PORT, TURNS_PORT, coturn, tinyproxy, with_turn
from tests.faults.network import HOST
from tests.faults.prometheus import prometheus, promtool, rules_hold
from tests.faults.recovery import first_picture
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.ground import Ground
    from tests.faults.network import Network

_PORT = 7990
_UDP = f"udp dport {_PORT + 2}", f"udp sport {_PORT + 2}"
_CHECK_S = 90


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made_in(tmp_path_factory.mktemp("turns") / "ca")


@pytest.fixture
def turn_log(ground: Ground, tmp_path: Path, authority: Authority) -> Iterator[Path]:
    assert ground.network
    with coturn(tmp_path, authority) as log:
        yield log


def _port(kind: str, port: int) -> tuple[str, str]:
    return f"{kind} dport {port}", f"{kind} sport {port}"


def _check(one: Device, network: Network) -> dict[str, str]:
    """Return the rows of `check`, which runs beside the device, by their names."""
    command = [sys.executable, "-m", "device", "check", "--config", str(one.config)]
    done = subprocess.run(
        network.devices.inside(*command),
        env=one.variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_CHECK_S,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    sys.stdout.write(done.stdout)
    return {line.split()[1]: line for line in done.stdout.splitlines()}


def _picture(
    ground: Ground, folder: Path, *, what: str, transport: str, allowed: tuple[str, ...], table: str, works: bool = True
) -> dict[str, str]:
    """Start a device that reaches nothing else; record its first picture, and return the rows of `check`."""

    async def scenario() -> tuple[float, dict[str, str]]:
        with with_turn(_PORT, transport) as server:
            async with device(ground.network, [server], folder) as one:
                one.config.write_text(f"[network]\n{table}\n")
                ground.network.pass_only(*allowed)
                one.start()
                try:
                    seconds = await first_picture(one)
                except AssertionError:
                    seconds = float("inf")
                rows = await asyncio.to_thread(_check, one, ground.network)
                for each in one.daemons[:-1]:  # those that ended because a join hung
                    each.close()
                assert PROXY_PASSWORD not in "".join((*rows.values(), *one.daemon.text))
                return seconds, rows

    seconds, rows = ground.run(scenario())
    must = "a picture within 15 s" if works else ""
    shown = f"{seconds:.1f}" if math.isfinite(seconds) else "never"
    row = {"times": 1, "video again": shown, "events seen": rows.get("turn", "")}
    ground.table.record(what, row, must=must, ok=seconds <= 15 or not works)
    return rows


@pytest.mark.timeout(200)
@pytest.mark.parametrize("transport", ("udp", "tcp"))
def test_relay_always_through_coturn(ground: Ground, tmp_path: Path, turn_log: Path, transport: str) -> None:
    rows = _picture(
        ground,
        tmp_path,
        what=f'relay = "always", coturn over {transport}, nothing else open but signalling',
        transport=transport,
        allowed=(*_port("tcp", _PORT), *_port(transport, TURN_PORT)),
        table='relay = "always"',
    )
    assert f"turn:{HOST}:{TURN_PORT}?transport={transport} gives the relay address {HOST}" in rows["turn"]
    assert "through a TURN server" in rows["media"]
    assert "ALLOCATE processed, success" in turn_log.read_text()


@pytest.mark.timeout(200)
def test_relay_always_does_not_use_an_open_way(ground: Ground, tmp_path: Path, turn_log: Path) -> None:
    rows = _picture(
        ground,
        tmp_path,
        what='relay = "always", all ways open',
        transport="udp",
        allowed=("meta l4proto udp", "meta l4proto tcp"),
        table='relay = "always"',
    )
    assert "through a TURN server" in rows["media"]
    assert "ALLOCATE processed, success" in turn_log.read_text()


@pytest.mark.timeout(200)
def test_turn_over_tls_with_an_own_ca(ground: Ground, tmp_path: Path, turn_log: Path, authority: Authority) -> None:
    """The SDK has its own roots, so media does not get through; `check` reaches the server, and says so."""
    rows = _picture(
        ground,
        tmp_path,
        what='relay = "always", coturn over TLS with a certificate of an own CA (network.ca_file)',
        transport="tls",
        allowed=(*_port("tcp", _PORT), *_port("tcp", TURNS_PORT)),
        table=f'relay = "always"\nca_file = "{authority.certificate}"',
        works=False,
    )
    assert rows["turn"].startswith("✓")
    assert "the SDK trusts only the CAs that are built into it" in rows["turn"]
    assert "media does not get through" in rows["room"]
    assert "TLS/TCP socket disconnected" in turn_log.read_text()


@pytest.mark.timeout(200)
def test_signalling_through_tinyproxy(ground: Ground, tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as log:
        rows = _picture(
            ground,
            tmp_path,
            what="signalling through tinyproxy with a password, media over UDP",
            transport="udp",
            allowed=(*_port("tcp", PROXY_PORT), *_UDP),
            table=f'proxy = "http://user:{PROXY_PASSWORD}@{HOST}:{PROXY_PORT}"',
        )
        assert rows["proxy"].startswith("✓")
        assert rows["udp"].startswith("✓")
        assert f"CONNECT {HOST}:{_PORT}" in log.read_text()


@pytest.mark.timeout(200)
def test_all_ways_for_media_are_closed(ground: Ground, tmp_path: Path) -> None:
    rows = _picture(
        ground,
        tmp_path,
        what="only signalling is open: `check` names the closed ways",
        transport="udp",
        allowed=_port("tcp", _PORT),
        table="",
        works=False,
    )
    assert rows["websocket"].startswith("✓")
    assert "media does not get through" in rows["room"]
    assert f"no answer from {HOST}:{_PORT + 2}; allow UDP to this in the firewall" in rows["udp"]
    assert f"{HOST}:{_PORT + 1}: no answer within 3 s" in rows["ice-tcp"]
    assert rows["turn"].startswith("!")


def test_the_alert_rules_fire_for_what_they_name(ground: Ground, tmp_path: Path) -> None:
    text = rules_hold(tmp_path)
    row = {"times": 1, "events seen": " ".join(text.split())}
    ground.table.record("promtool: check and test of the alert rules", row, must="SUCCESS", ok="SUCCESS" in text)


@pytest.mark.timeout(200)
def test_prometheus_reads_a_device(ground: Ground, tmp_path: Path) -> None:
    """A device that is live and then loses its camera's worker, by Prometheus's own figures."""
    bind = "127.0.0.1:9478"
    seconds: dict[str, float] = {}

    async def scenario() -> None:
        box = ground.network.devices
        async with device(ground.network, [ground.server], tmp_path, DEVICE_METRICS__BIND=bind) as one:
            with prometheus(box, tmp_path, target=bind) as asked:
                one.start()
                await first_picture(one)
                expressions = {
                    "up": 'up{job="livekit-device"} == 1',
                    "live": 'livekit_device_state{state="live"} == 1',
                    "acknowledged": "count(livekit_device_stream_frame_age_seconds < 5) == 8",
                    "frames": 'rate(livekit_device_stream_frames_total{stream="camera"}[10s]) > 10',
                }
                for name, each in expressions.items():
                    seconds[name] = await asyncio.to_thread(asked.until, each, within_s=30)
                os.kill(one.daemon.worker("camera"), signal.SIGKILL)
                crashed = 'livekit_device_worker_restarts_total{stream="camera", reason="crashed"} == 1'
                seconds["crashed"] = await asyncio.to_thread(asked.until, crashed, within_s=30)
                failures = (
                    "sum(prometheus_rule_evaluation_failures_total) == 0 and sum(prometheus_rule_group_rules) >= 13"
                )
                seconds["rules evaluated"] = await asyncio.to_thread(asked.until, failures, within_s=30)
                text = await asyncio.to_thread(box.run, "curl", "--silent", f"http://{bind}/metrics")
                seconds["lint"] = float("inf") if promtool("check", "metrics", given=text.encode()) else 0.0

    ground.run(scenario())
    row = {"times": 1, "events seen": ", ".join(f"{name} {took:.1f} s" for name, took in seconds.items())}
    ok = all(map(math.isfinite, seconds.values()))
    ground.table.record("Debian's Prometheus reads the metrics", row, must="all within 30 s, no lint", ok=ok)
