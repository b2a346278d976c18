"""Wrong clocks, broken name resolution, and disks that are full or read-only."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.device import SILENT, device
from tests.faults.figures import counted, longest_gap
from tests.faults.fleet import Measured
from tests.faults.moments import Moment
from tests.faults.namespaces import run
from tests.faults.network import HOST
from tests.faults.recovery import first_picture, picture_after
from tests.faults.servers import node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.ground import Ground
    from tests.faults.side_by_side import SideBySide

_SHIM = Path(__file__).parent / "shims" / "clock.c"
_YEAR_S = 365 * 86_400
_JUMPS_S = (3 * _YEAR_S, -3 * _YEAR_S, 0)
_SMALL_OFFSETS_S = (-2 * 86_400, -15 * 60, 5 * 60, 2 * 3600)
_AFTER_JUMP_S = 15.0
_HANGING_S = 20.0
_NAME = "livekit-under-test"


async def _wrong_clock(ground: Ground, folder: Path) -> None:
    """Start three years early, then set the right time; jump three years ahead, back by six, and to the right time."""
    shim, offset = folder / "clock.so", folder / "offset"
    await asyncio.to_thread(run, "gcc", "-shared", "-fPIC", "-O2", "-o", str(shim), str(_SHIM), "-ldl")
    variables = {"LD_PRELOAD": str(shim), "CLOCK_OFFSET_FILE": str(offset)}
    _set_clock(offset, -3 * _YEAR_S)
    async with device(ground.network, [ground.server], folder, **variables) as one:
        one.start()
        measured = Measured()
        measured.video.seconds.append(await first_picture(one))
        await asyncio.sleep(3)
        _set_clock(offset, 0)
        began, mark = time.monotonic(), one.mark()
        for jump_s in _JUMPS_S:
            _set_clock(offset, jump_s)
            await asyncio.sleep(_AFTER_JUMP_S)
        ended = time.monotonic()
        pictures = [each.at for each in one.viewer.pictures]
        measured.video_gap.seconds.append(longest_gap(pictures, began, ended))
        measured.audio_gap.seconds.append(longest_gap(one.viewer.sound, began, ended))
        ground.table.record(
            "clock 3 years slow at the start (again: since the process began); jumps of +3, -6, +3 years",
            {
                "times": 1,
                "video again": measured.video,
                "longest gap": f"video {measured.video_gap.worst:.2f}, audio {measured.audio_gap.worst:.2f}",
                "events seen": counted(one.events(mark).items()),
            },
            must="joins within 15 s; no gap over 1 s, no reconnection",
            ok=measured.video.worst <= 15
            and max(measured.video_gap.worst, measured.audio_gap.worst) <= 1
            and not one.since(mark, "room.left"),
        )


async def _nearly_right_clock(ground: Ground, folder: Path) -> None:
    """Start with a small clock offset that still exceeds a token's leeway."""
    shim, offset = folder / "clock.so", folder / "offset"
    await asyncio.to_thread(run, "gcc", "-shared", "-fPIC", "-O2", "-o", str(shim), str(_SHIM), "-ldl")
    variables = {"LD_PRELOAD": str(shim), "CLOCK_OFFSET_FILE": str(offset)} | SILENT
    measured, reported = Measured(), 0
    for off_s in _SMALL_OFFSETS_S:
        _set_clock(offset, off_s)
        async with device(ground.network, [ground.server], folder, **variables) as one:
            one.start()
            measured.video.seconds.append(await first_picture(one))
            lines = one.since((0, 0), "clock.offset")
            reported += len(lines) == 1 and abs(lines[0]["offset_s"] - off_s) < 5
    ground.table.record(
        "clock 2 days or 15 minutes behind, 5 minutes or 2 hours ahead (again: since the process began)",
        {"times": len(_SMALL_OFFSETS_S), "video again": measured.video, "events seen": f"clock.offset {reported}"},
        must="joins within 15 s; the offset is logged once",
        ok=measured.video.worst <= 15 and reported == len(_SMALL_OFFSETS_S),
    )


async def _names(ground: Ground, folder: Path) -> None:
    """Use a name server that never answers: while connected, and while the server is restarted."""
    hosts, resolver = folder / "hosts", folder / "resolv.conf"
    hosts.write_text(f"{HOST} {_NAME}\n")
    resolver.write_text(f"nameserver {HOST}\n")
    wrapper = _with_mounts(f"mount --bind {hosts} /etc/hosts", f"mount --bind {resolver} /etc/resolv.conf")
    with node(7940) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 53))
        variables = SILENT | {"DEVICE_ROOM__URL": f"ws://{_NAME}:{server.port}"}
        async with device(ground.network, [server], folder, wrapper=wrapper, **variables) as one:
            one.start()
            await first_picture(one)
            began, mark = time.monotonic(), one.mark()
            hosts.write_text("")
            await asyncio.sleep(_HANGING_S)
            gap_s = longest_gap([each.at for each in one.viewer.pictures], began, time.monotonic())
            server.kill()
            await server.back()
            await asyncio.sleep(_HANGING_S)
            hosts.write_text(f"{HOST} {_NAME}\n")
            measured = Measured()
            measured.video.seconds.append(await picture_after(one, Moment.now(), within_s=40))
            ground.table.record(
                "resolver hangs while connected, then over a restart of the server",
                {
                    "times": 1,
                    "video again": measured.video,
                    "longest gap": f"{gap_s:.2f} while connected",
                    "events seen": counted(one.events(mark).items()),
                },
                must="no gap over 1 s while connected; video <= 15 s after names resolve",
                ok=gap_s <= 1 and measured.video.worst <= 15,
            )


async def _full_disk(ground: Ground, folder: Path) -> None:
    full = folder / "full"
    full.mkdir()
    wrapper = _with_mounts(
        f"mount -t tmpfs -o size=16k tmpfs {full}", f"dd if=/dev/zero of={full}/filling bs=1k 2>/dev/null || true"
    )
    names = ("RUNTIME_DIRECTORY", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
    await _storage(ground, folder, "disk full", port=7960, wrapper=wrapper, places=dict.fromkeys(names, str(full)))


async def _read_only_root(ground: Ground, folder: Path) -> None:
    wrapper = _with_mounts("mount -o remount,bind,ro /")
    await _storage(
        ground,
        folder,
        "root file system read-only",
        port=7970,
        wrapper=wrapper,
        places={"RUNTIME_DIRECTORY": str(folder)},
    )


async def _storage(
    ground: Ground, folder: Path, what: str, *, port: int, wrapper: Sequence[str], places: dict[str, str]
) -> None:
    with node(port) as server:
        async with device(ground.network, [server], folder, wrapper=wrapper, **(SILENT | places)) as one:
            one.start()
            await first_picture(one)
            began, mark = time.monotonic(), one.mark()
            await asyncio.sleep(10)
            gap_s = longest_gap([each.at for each in one.viewer.pictures], began, time.monotonic())
            server.kill()
            await asyncio.sleep(2)
            back = await server.back()
            measured = Measured()
            measured.video.seconds.append(await picture_after(one, back, within_s=30))
            ground.table.record(
                f"{what}, then the server restarted",
                {
                    "times": 1,
                    "video again": measured.video,
                    "longest gap": f"{gap_s:.2f} before",
                    "events seen": counted(one.events(mark).items()),
                },
                must="publishes; video <= 6 s after the port is open",
                ok=gap_s <= 1 and measured.video.worst <= 6,
            )


def _set_clock(file: Path, offset_s: int) -> None:
    """Write in place, because the daemon and its workers have it mapped."""
    with file.open("r+b" if file.exists() else "w+b") as out:
        out.write(struct.pack("<q", offset_s * 1_000_000_000))


def _with_mounts(*commands: str) -> list[str]:
    """Return a command prefix that runs a command in a mount namespace after these commands."""
    script = "; ".join(("set -e", *commands, 'exec "$@"'))
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(each, id=each.__name__.strip("_"), marks=pytest.mark.side_by_side.with_args(each))
        for each in (_wrong_clock, _nearly_right_clock, _names, _full_disk, _read_only_root)
    ],
)
def test_surroundings(side_by_side: SideBySide, scenario: Any) -> None:
    side_by_side.wait(scenario)
