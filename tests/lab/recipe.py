"""The contents of the lab's Debian root: Raspberry Pi OS's release, Debian's packages first, then PyPI's."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    suite: str
    debian: tuple[str, ...]
    pypi: tuple[str, ...]
    steps: int  # raise it when root.py builds something else from the same packages
    base: "Recipe | None" = None  # what it is added to; without one, Debian's minimal system
    architecture: str = ""  # Debian's name; empty is the host's own

    @property
    def digest(self) -> str:
        parts = (self.suite, self.debian, self.pypi, self.steps, self.base and self.base.digest, self.architecture)
        given = parts if self.architecture else parts[:5] if self.base else parts[:4]
        return hashlib.sha256(repr(given).encode()).hexdigest()[:16]


# PID 1 and the tools of an administrator
_SYSTEM = ("systemd", "systemd-sysv", "dbus", "libpam-systemd", "procps", "ca-certificates")
_SOUND_SERVER = ("pulseaudio", "pulseaudio-utils", "libasound2-plugins")

# A Pi as delivered, and the packages for its stand-in microphone.
FRESH = Recipe(suite="trixie", debian=(*_SYSTEM, "sudo", *_SOUND_SERVER), pypi=(), steps=1)

RECIPE = Recipe(
    suite="trixie",
    debian=(
        *_SYSTEM,
        # camera
        "python3-libcamera",
        "libcamera-tools",
        # microphone
        *_SOUND_SERVER,
        "alsa-utils",
        # the daemon's dependencies, in the versions of Raspberry Pi OS
        "python3",
        "python3-venv",
        "python3-pip",
        "python3-aiofiles",
        "python3-aiohttp",
        "python3-av",
        "python3-jwt",
        "python3-numpy",
        "python3-pyaudio",
        "python3-pydantic-settings",
        "python3-segno",
        "python3-soxr",
        "python3-structlog",
        # picamera2's dependencies
        "python3-jsonschema",
        "python3-piexif",
        "python3-pil",
        "python3-prctl",
        "python3-tqdm",
        # for building the shims, and packages without a wheel on PyPI
        "gcc",
        "libc6-dev",
        "libasound2-dev",
        "libcap-dev",
        "libx264-dev",
        "python3-dev",
    ),
    # Debian has neither of these.
    pypi=("livekit==1.2.1", "picamera2==0.3.38"),
    steps=2,
)
