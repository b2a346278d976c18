"""A camera or microphone that is absent at the start, appears, is removed for a minute, and gets another number.

The hardware is a file that the worker's source checks, and a node in a /dev of the daemon's own.
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import device
from tests.faults.figures import NEVER, Figures, as_text, longest_gap
from tests.faults.moments import Moment
from tests.faults.rogue import KILLED, Rogue, rogue
from tests.faults.worker_outage import CAMERA, GAP_S, MICROPHONE, pid_of, slate_after

if TYPE_CHECKING:
    from tests.faults.device import Device
    from tests.faults.ground import Ground

_NODES = {CAMERA: ("video0", "video9"), MICROPHONE: ("snd/pcmC0D0c", "snd/pcmC2D0c")}
_FIRST_AWAY_S, _AWAY_S = 6.0, 60.0
_READY_S, _BACK_S, _SLATE_S, _REPEAT_S = 5.0, 3.0, 3.0, 1.5
_FIRST_SLATE_S = 5.0  # after READY=1, which is sent before the join
_SETTLE_S = 3.0  # the other medium is watched for this long after each change
_DEV = ("null", "zero", "random", "urandom")


@dataclass(slots=True, kw_only=True)
class _Plug:
    """One device's hardware, which can be connected and disconnected."""

    one: Device
    inside: Rogue
    worker: str

    async def pull(self) -> None:
        self.inside.unplug(self.worker)
        for name in _NODES[self.worker]:
            (self._dev / name).unlink(missing_ok=True)
        KILLED.strike(self.inside, await pid_of(self.one, self.worker))

    def put(self, node: str) -> Moment:
        self.inside.plug(self.worker)
        (self._dev / node).touch()
        return Moment.now()

    async def seen(self, text: str) -> bool:
        """Return whether an attribute reports this state."""
        viewer, name = self.one.viewer, f"device.{self.worker}"
        return await viewer.until(lambda: viewer.attributes().get(name, "").startswith(text), within_s=_SLATE_S)

    async def back(self, moment: Moment) -> float:
        viewer = self.one.viewer

        def look() -> float:
            return viewer.video_again_s(moment) if self.worker == CAMERA else viewer.audio_again_s(moment.at)

        await viewer.until(lambda: look() < NEVER, within_s=4 * _BACK_S)
        return look()

    @property
    def other(self) -> list[float]:
        """The times at which the other medium was seen or heard."""
        viewer = self.one.viewer
        return viewer.sound if self.worker == CAMERA else [each.at for each in viewer.pictures]

    @property
    def _dev(self) -> Path:
        return Path(f"/proc/{self.one.daemon.pid}/root/dev")


async def _scenario(ground: Ground, folder: Path, worker: str) -> None:
    with rogue() as inside, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(inside.folder / "notify"))
        manager.settimeout(0)
        wrapper = _with_own_dev(folder / "dev")
        async with device(ground.network, [ground.server], folder, wrapper=wrapper) as one:
            inside.possess(one)
            one.variables["NOTIFY_SOCKET"] = manager.getsockname()
            inside.unplug(worker)
            await _record(ground, one, manager, _Plug(one=one, inside=inside, worker=worker))


async def _record(ground: Ground, one: Device, manager: socket.socket, plug: _Plug) -> None:
    back, other_gap, unseen = Figures(), Figures(), 0
    slate, throttle = Figures(), Figures()
    one.start()
    ready_s = await _ready(manager) - one.started_at
    began = time.monotonic()
    unseen += not await plug.seen("absent: ")
    await one.viewer.until(lambda: plug.other and plug.other[-1] > began, within_s=20)
    for number, away_s in enumerate((_FIRST_AWAY_S, _AWAY_S)):
        if number:
            await plug.pull()
            began = time.monotonic()
            unseen += not await plug.seen("absent: ")
        await asyncio.sleep(away_s)
        until = time.monotonic()
        if plug.worker == CAMERA:
            slate_s = slate_after(one.viewer, began)
            slate.seconds.append(slate_s)
            throttle.seconds.append(longest_gap([each.at for each in one.viewer.pictures], began + slate_s, until))
        back.seconds.append(await plug.back(plug.put(_NODES[plug.worker][number])))
        unseen += not await plug.seen("live")
        await asyncio.sleep(_SETTLE_S)
        if number:
            other_gap.seconds.append(longest_gap(plug.other, began, began + _SETTLE_S))
            other_gap.seconds.append(longest_gap(plug.other, until, time.monotonic()))
    camera = plug.worker == CAMERA
    ground.table.record(
        f"{plug.worker} absent at the start; taken away for {_AWAY_S:.0f} s, back under another number",
        {
            "times": len(back.seconds),
            "slate after": slate if camera else "",
            "video again" if camera else "audio again": back,
            "longest gap": f"{'sound' if camera else 'video'} {as_text(other_gap.worst)}",
            "events seen": f"READY=1 after {ready_s:.2f} s"
            + (f"; slate each {as_text(throttle.worst)} s" if camera else "")
            + (f"; MISSING attributes {unseen}" if unseen else ""),
        },
        must=f"ready <= {_READY_S:.0f} s; live <= {_BACK_S:.0f} s of its appearance; "
        + (
            f"slate <= {_FIRST_SLATE_S:.0f} s of ready, then <= {_SLATE_S:.0f} s, again each {_REPEAT_S} s; sound"
            if camera
            else "video"
        )
        + " without a gap over 0.2 s; absent and live in the attributes",
        ok=ready_s <= _READY_S
        and back.worst <= _BACK_S
        and other_gap.worst <= GAP_S
        and not unseen
        and (not camera or (_slates_in_time(slate.seconds) and throttle.worst <= _REPEAT_S)),
    )


def _slates_in_time(seconds: list[float]) -> bool:
    at_start, taken_away = seconds
    return at_start <= _FIRST_SLATE_S and taken_away <= _SLATE_S


async def _ready(manager: socket.socket) -> float:
    """Wait for READY=1; return when it came."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(4 * _READY_S):
        while b"READY=1" not in await loop.sock_recv(manager, 4096):
            pass
    return time.monotonic()


def _with_own_dev(folder: Path) -> list[str]:
    """Return a command prefix that runs a command with a /dev of its own, without hardware."""
    script = f"""
        set -e
        mkdir -p {folder}
        mount -t tmpfs none {folder}
        mkdir {folder}/snd {folder}/shm
        cd /dev
        cp -a {" ".join(_DEV)} {folder}
        mount --bind {folder} /dev
        cd /
        exec "$@"
    """
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(300)
def test_absent(ground: Ground, tmp_path: Path) -> None:
    """Both at once, each on a device of its own, because they mostly wait."""

    async def scenario() -> None:
        running = []
        for worker in (CAMERA, MICROPHONE):
            folder = tmp_path / worker
            folder.mkdir()
            running.append(_scenario(ground, folder, worker))
        # The second is recorded even if the first does not hold.
        for failure in await asyncio.gather(*running, return_exceptions=True):
            if failure is not None:
                raise failure

    ground.run(scenario())
