"""Microphones for a machine: PulseAudio sources behind ALSA names, which PortAudio lists and reads.

Each has a sound server of its own, because PulseAudio moves the readers of a removed source to another source of the
same server, unlike an unplugged device.
"""

from dataclasses import dataclass

from tests.lab.machine import Machine

SOCKET = "unix:/run/lab-microphone-{name}/native"
FIFO = "/run/lab-microphone-{name}/samples"
LOCK = "/run/lab-microphone/{name}.lock"

SERVER_UNIT = """\
[Unit]
Description=The sound server of the microphone %i

[Service]
User=pulse
RuntimeDirectory=lab-microphone-%i
Environment=HOME=/run/lab-microphone-%i XDG_RUNTIME_DIR=/run/lab-microphone-%i
ExecStart=/usr/bin/pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --disable-shm=yes \\
    --log-target=stderr \\
    --load="module-native-protocol-unix socket=/run/lab-microphone-%i/native auth-anonymous=1"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A microphone with one native rate, which hears a sine on each channel."""

    name: str
    rate_hz: int
    tones_hz: tuple[int, ...]

    @property
    def channels(self) -> int:
        return len(self.tones_hz)

    @property
    def asound(self) -> str:
        return f"""\
pcm.{self.name} {{
    type pulse
    server "{SOCKET.format(name=self.name)}"
    device "{self.name}"
    hint {{ show on description "Lab microphone {self.name}" }}
}}
"""


LABMIC = Source(name="labmic", rate_hz=48000, tones_hz=(440,))
LABMIC44 = Source(name="labmic44", rate_hz=44100, tones_hz=(880,))
LABSTEREO = Source(name="labstereo", rate_hz=48000, tones_hz=(660, 1000))
SOURCES = (LABMIC, LABMIC44, LABSTEREO)


class Microphones:
    """The machine's microphones, which can be connected and disconnected."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._modules: dict[str, str] = {}

    def start(self) -> None:
        """Start the servers and connect every microphone of SOURCES."""
        self._machine.install(
            {
                "/etc/systemd/system/lab-microphone@.service": SERVER_UNIT,
                "/etc/pulse/client.conf": "autospawn = no\nenable-shm = no\n",
            }
        )
        self.enumerate(*SOURCES)
        self._machine.systemctl("daemon-reload")
        self._machine.systemctl("start", *(f"lab-microphone@{source.name}" for source in SOURCES))
        for source in SOURCES:
            self._machine.wait_for(
                lambda source=source: self._answers(source),  # type: ignore[misc]
                timeout_s=10,
                what=f"the sound server of {source.name}",
            )
            self.plug(source)

    def enumerate(self, *sources: Source, more: str = "") -> None:
        """Make PortAudio number the microphones in this order, with the limits that are given here.

        more: other ALSA devices, in ALSA's configuration language
        """
        self._machine.install(
            {
                "/etc/asound.conf": "".join(source.asound for source in sources) + more,
                "/etc/lab-microphones": "".join(f"{s.name} {s.rate_hz} {s.channels}\n" for s in sources),
            }
        )

    def plug(self, source: Source, *, ppm: int = 0) -> None:
        """Connect the microphone; its clock is `ppm` parts per million too fast."""
        fifo = FIFO.format(name=source.name)
        self._machine.install({LOCK.format(name=source.name): ""})
        self._modules[source.name] = self._pactl(
            source,
            "load-module",
            "module-pipe-source",
            f"source_name={source.name}",
            f"file={fifo}",
            "format=s16le",
            f"rate={source.rate_hz}",
            f"channels={source.channels}",
        )
        self._sing(source, ppm=ppm)

    def unplug(self, source: Source) -> None:
        """Disconnect the microphone, also while it is being read."""
        self._machine.run(("rm", "-f", LOCK.format(name=source.name)))
        self._pactl(source, "unload-module", self._modules.pop(source.name))
        self._machine.systemctl("stop", _tone_unit(source))

    def let_hear(self, source: Source) -> None:
        """Change the tones of a connected microphone; 0 Hz is like a muted one."""
        self._machine.systemctl("stop", _tone_unit(source))
        self._sing(source, ppm=0)

    def readers(self, source: Source) -> int:
        """Return how many streams read the microphone."""
        return len(self._pactl(source, "list", "short", "source-outputs").splitlines())

    def _sing(self, source: Source, *, ppm: int) -> None:
        fifo = FIFO.format(name=source.name)
        tone = ("/usr/bin/python3", "/opt/lab/tone.py", fifo, source.rate_hz, ppm, *source.tones_hz)
        self._machine.run(("systemd-run", "--quiet", f"--unit={_tone_unit(source)}", *map(str, tone)))

    def _answers(self, source: Source) -> bool:
        return self._machine.run(_pactl(source, "info"), check=False).returncode == 0

    def _pactl(self, source: Source, *args: str) -> str:
        return self._machine.run(_pactl(source, *args)).stdout.strip()


def _pactl(source: Source, *args: str) -> tuple[str, ...]:
    return ("pactl", f"--server={SOCKET.format(name=source.name)}", *args)


def _tone_unit(source: Source) -> str:
    return f"lab-tone-{source.name}.service"
