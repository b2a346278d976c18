"""A camera or microphone that can be connected and disconnected.

The hardware is a file that the worker's source checks, and a node in a /dev of the daemon's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.figures import NEVER
from tests.faults.moments import Moment
from tests.faults.rogue import KILLED, Rogue
from tests.faults.worker_outage import CAMERA, MICROPHONE, pid_of

if TYPE_CHECKING:
    from tests.faults.device import Device

NODES = {CAMERA: ("video0", "video9"), MICROPHONE: ("snd/pcmC0D0c", "snd/pcmC2D0c")}
_SEEN_S, _BACK_S = 3.0, 12.0
_DEV = ("null", "zero", "random", "urandom")


@dataclass(slots=True, kw_only=True)
class Plug:
    """One device's hardware, which can be connected and disconnected."""

    one: Device
    inside: Rogue
    worker: str

    async def pull(self) -> None:
        self.inside.unplug(self.worker)
        for name in NODES[self.worker]:
            (self._dev / name).unlink(missing_ok=True)
        KILLED.strike(self.inside, await pid_of(self.one, self.worker))

    def put(self, node: str) -> Moment:
        self.inside.plug(self.worker)
        (self._dev / node).touch()
        return Moment.now()

    async def seen(self, text: str) -> bool:
        """Return whether an attribute reports this state."""
        viewer, name = self.one.viewer, f"device.{self.worker}"
        return await viewer.until(lambda: viewer.attributes().get(name, "").startswith(text), within_s=_SEEN_S)

    async def back(self, moment: Moment) -> float:
        viewer = self.one.viewer

        def look() -> float:
            return viewer.video_again_s(moment) if self.worker == CAMERA else viewer.audio_again_s(moment.at)

        await viewer.until(lambda: look() < NEVER, within_s=_BACK_S)
        return look()

    @property
    def other(self) -> list[float]:
        """The times at which the other medium was seen or heard."""
        viewer = self.one.viewer
        return viewer.sound if self.worker == CAMERA else [each.at for each in viewer.pictures]

    @property
    def _dev(self) -> Path:
        return Path(f"/proc/{self.one.daemon.pid}/root/dev")


def with_own_dev(folder: Path) -> list[str]:
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
