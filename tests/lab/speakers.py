"""A speaker for a machine: a PulseAudio sink behind an ALSA name, which PortAudio plays on, and what it plays.

Like each microphone it has a sound server of its own. The sink's monitor is also a microphone, `labroom`, which hears
what the speaker plays and nothing else.
"""

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tests.lab.machine import Machine
from tests.lab.microphone import SOCKET, SOURCES, Microphones

SPEAKER, ROOM = "labspeaker", "labroom"
RATE = 48_000
_BLOCK = RATE // 100
_KEPT_BLOCKS = 1000
_UNIT = f"lab-microphone@{SPEAKER}"
_ASOUND = f"""\
pcm.{SPEAKER} {{
    type asym
    playback.pcm {{ type pulse server "{SOCKET.format(name=SPEAKER)}" device "{SPEAKER}" }}
    hint {{ show on description "Lab speaker" }}
}}
pcm.{ROOM} {{
    type asym
    capture.pcm {{ type pulse server "{SOCKET.format(name=SPEAKER)}" device "{SPEAKER}.monitor" }}
    hint {{ show on description "Lab room" }}
}}
"""


class Speaker:
    """The machine's speaker, which can be connected and disconnected; `sound` is the latest that it played."""

    def __init__(self, machine: Machine, microphones: Microphones) -> None:
        self._machine, self._microphones = machine, microphones
        self._module = ""
        self._recorder: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._blocks: deque[npt.NDArray[np.int16]] = deque(maxlen=_KEPT_BLOCKS)

    def start(self) -> None:
        self._machine.systemctl("start", _UNIT)
        self._machine.wait_for(
            lambda: self._machine.run(_pactl("info"), check=False).returncode == 0,
            timeout_s=10,
            what="the sound server of the speaker",
        )
        self.plug()

    def stop(self) -> None:
        if self._module:
            self.unplug()
        self._machine.systemctl("stop", _UNIT)

    def plug(self) -> None:
        sink = ("module-null-sink", f"sink_name={SPEAKER}", "format=s16le", f"rate={RATE}", "channels=1")
        self._module = self._machine.run(_pactl("load-module", *sink)).stdout.strip()
        self._microphones.enumerate(*SOURCES, more=_ASOUND)
        monitor = ("--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=20", "--raw")
        server = f"--server={SOCKET.format(name=SPEAKER)}"
        self._recorder = subprocess.Popen(
            self._machine.command(("parec", server, f"--device={SPEAKER}.monitor", *monitor)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._reader = threading.Thread(target=self._read, args=(self._recorder,), name="speaker", daemon=True)
        self._reader.start()

    def unplug(self) -> None:
        """Disconnect the speaker, also while it is being played on."""
        assert self._recorder
        assert self._reader
        self._microphones.enumerate(*SOURCES)
        self._machine.run(_pactl("unload-module", self._module))
        self._module = ""
        self._recorder.terminate()
        self._recorder.wait(10)
        self._reader.join(10)
        self._blocks.clear()

    def latest(self, seconds: float) -> npt.NDArray[np.float64]:
        """Return the latest sound; less if there is not so much."""
        blocks = list(self._blocks)[-round(seconds * 100) :]
        return np.concatenate(blocks or [np.zeros(0, np.int16)]).astype(np.float64)

    def plays(self, tone_hz: float) -> bool:
        """Return whether the latest fifth of a second is this tone."""
        samples = self.latest(0.2)
        if len(samples) < RATE // 5 or np.abs(samples).max() < 300:
            return False
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        hz = np.arange(len(power)) * RATE / len(samples)
        return bool(power[np.abs(hz - tone_hz) < 30].sum() > 0.8 * power.sum())

    def share(self, tone_hz: float, seconds: float) -> float:
        """Return the tone's amplitude in the latest sound, of full scale."""
        samples = self.latest(seconds)
        window = np.hanning(len(samples))
        turned = np.exp(-2j * np.pi * tone_hz / RATE * np.arange(len(samples)))
        return float(2 * abs((samples * window * turned).sum()) / window.sum() / 32768)

    def silent(self, seconds: float) -> bool:
        """Return whether nothing was played for the latest seconds: less may be a gap in a tone."""
        samples = self.latest(seconds)
        return len(samples) == round(seconds * RATE) and float(np.abs(samples).max()) < 50

    def until(self, holds: Callable[[], object], *, within_s: float, what: str) -> float:
        """Wait for what is played; return the seconds it took."""
        began = time.monotonic()
        self._machine.wait_for(holds, timeout_s=within_s, what=what)
        return time.monotonic() - began

    def _read(self, recorder: subprocess.Popen[bytes]) -> None:
        assert recorder.stdout
        while len(data := recorder.stdout.read(2 * _BLOCK)) == 2 * _BLOCK:
            self._blocks.append(np.frombuffer(data, np.int16))
        recorder.stdout.close()


def _pactl(*args: str) -> tuple[str, ...]:
    return ("pactl", f"--server={SOCKET.format(name=SPEAKER)}", *args)
