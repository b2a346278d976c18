"""IPv6 alone, two families with one that loses everything, and a path for small packets only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import device
from tests.faults.figures import counted, longest_gap
from tests.faults.fleet import Measured
from tests.faults.half_dns import half_dns
from tests.faults.network import HOST
from tests.faults.recovery import first_picture
from tests.faults.two_families import HOST6, ipv6, losing_all, small_packets, two_families, without_ipv4

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.faults.ground import Ground

_NAME = "livekit-under-test"
_PORT = 7980
_WATCH_S = 3.0


def _row(
    ground: Ground, folder: Path, fault: AbstractContextManager[None], *, what: str, url: str, with_ipv6: bool
) -> None:
    """Start a device in the neighbour's namespace with a fault from the start; record its first picture and sound."""
    hosts, resolver = folder / "hosts", folder / "resolv.conf"
    hosts.write_text(f"{HOST6} {_NAME}\n{HOST} {_NAME}\n")
    resolver.write_text(f"nameserver {HOST}\n")
    script = f'mount --bind {hosts} /etc/hosts; mount --bind {resolver} /etc/resolv.conf; exec "$@"'
    wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    families = ipv6(ground.network) if with_ipv6 else contextlib.nullcontext()

    async def scenario(measured: Measured) -> float:
        with families, two_families(_PORT) if with_ipv6 else contextlib.nullcontext(ground.server) as server:
            variables = {"DEVICE_ROOM__URL": url.format(port=server.port)}
            async with (
                half_dns(HOST, address=HOST),
                device(ground.network, [server], folder, wrapper=wrapper, **variables) as one,
            ):
                one.neighbour = True
                with fault:
                    one.start()
                    measured.video.seconds.append(await first_picture(one))
                    began = time.monotonic()
                    await one.viewer.until(lambda: one.viewer.sound, within_s=10)
                    measured.audio.seconds.append(one.viewer.sound[0] - one.started_at)
                    await asyncio.sleep(_WATCH_S)
                    gap_s = longest_gap([each.at for each in one.viewer.pictures], began, time.monotonic())
                    measured.events += one.events()
                    return gap_s

    measured = Measured()
    gap_s = ground.run(scenario(measured))
    ground.table.record(
        f"{what} (again: since the process began)",
        {
            "times": 1,
            "video again": measured.video,
            "audio again": measured.audio,
            "longest gap": f"{gap_s:.2f} afterwards",
            "events seen": counted(measured.events.items()),
        },
        must="picture and sound <= 10 s, then no gap over 1 s",
        ok=max(measured.video.worst, measured.audio.worst) <= 10 and gap_s <= 1,
    )


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(60)
def test_ipv6_alone(ground: Ground, tmp_path: Path) -> None:
    url = f"ws://[{HOST6}]:{{port}}"
    _row(ground, tmp_path, without_ipv4(ground.network), what="IPv6 alone", url=url, with_ipv6=True)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(("family", "name"), (("ip6", "IPv6"), ("ip", "IPv4")))
def test_one_family_loses_everything(ground: Ground, tmp_path: Path, family: str, name: str) -> None:
    what = f"IPv4 and IPv6, {name} loses everything"
    url = f"ws://{_NAME}:{{port}}"
    _row(ground, tmp_path, losing_all(ground.network, family), what=what, url=url, with_ipv6=True)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(60)
def test_names_are_late_for_one_family(ground: Ground, tmp_path: Path) -> None:
    what = "a name server that answers for IPv4 alone, and never for IPv6"
    url = "ws://livekit.half.test:{port}"
    _row(ground, tmp_path, contextlib.nullcontext(), what=what, url=url, with_ipv6=False)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(60)
def test_small_packets_only(ground: Ground, tmp_path: Path) -> None:
    what = "an MTU of 1280 on the way"
    url = f"ws://{HOST}:{{port}}"
    _row(ground, tmp_path, small_packets(ground.network), what=what, url=url, with_ipv6=False)
