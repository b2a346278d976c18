"""Stand-ins for V4L2 cameras: a tree of files that shims/v4l2_cameras.c turns into devices, for FFmpeg too."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from device.sources import strip
from device.sources.planes import writable
from tests.support.livekit_server import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

_SOURCE = Path(__file__).parent / "shims" / "v4l2_cameras.c"
CAPTURE, META, OUTPUT, M2M, STREAMING = 0x1, 0x0080_0000, 0x2, 0x8000, 0x0400_0000

INTEGER, BOOLEAN, MENU, BUTTON, INTEGER_MENU = 1, 2, 3, 4, 9
READ_ONLY = 0x4
BRIGHTNESS = "control 980900 1 0 -64 64 1 0 Brightness"
CONTROLS = (
    BRIGHTNESS,
    "control 980913 1 0 0 100 5 10 Gain",
    "control 980918 3 0 0 2 1 1 Power Line Frequency\nitem 0 Disabled\nitem 1 50 Hz\nitem 2 60 Hz",
    "control 98091a 1 4 2800 6500 1 4600 White Balance Temperature",
    "control 9a0901 3 0 0 3 1 3 Auto Exposure\nitem 1 Manual Mode\nitem 3 Aperture Priority Mode",
    "control 9a0902 1 0 3 2047 1 250 Exposure Time, Absolute",
    "control 9a0910 2 0 0 1 1 0 Privacy",
)
H264_CONTROLS = (
    "control 9909cf 1 0 50000 8000000 1 2000000 Video Bitrate",
    "control 9909e5 4 0 0 0 0 0 Force Key Frame",
)


def preload() -> str:
    """Return the path of the library, which is compiled once into the cache."""
    text = _SOURCE.read_bytes()
    built = cache_folder() / f"v4l2-cameras-{hashlib.sha256(text).hexdigest()[:16]}.so"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        part = built.with_suffix(f".{os.getpid()}")
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", part, _SOURCE, "-ldl", "-lpthread"], check=True, timeout=60
        )
        part.replace(built)
    return str(built)


@dataclass(slots=True, kw_only=True)
class Camera:
    """The description of one device. `modes`: FOURCC, width, height, step, rates, and a file with content."""

    card: str = "HD Webcam"
    driver: str = "uvcvideo"
    serial: str = ""
    capabilities: int = CAPTURE | STREAMING
    modes: tuple[str, ...] = ("YUYV 320 240 0 30,15",)
    controls: tuple[str, ...] = CONTROLS
    extra: tuple[str, ...] = ()

    def text(self) -> str:
        lines = [f"driver {self.driver}", f"card {self.card}", "bus usb-0000:00:14.0-1"]
        lines += [f"caps {CAPTURE | STREAMING:x}", f"device_caps {self.capabilities:x}", *self.extra]
        lines += [f"mode {each}" for each in self.modes]
        lines += sorted(self.controls, key=lambda each: int(each.split()[1], 16))  # as a driver lists them
        return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Tree:
    """The devices of one test, below a folder of its own."""

    root: Path
    _plugged: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        for name in ("dev", "state", "sys/class/video4linux"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        return {"LD_PRELOAD": preload(), "V4L2_CAMERAS": str(self.root)}

    def plug(self, name: str, camera: Camera) -> None:
        """Connect a camera as /dev/NAME, with its place in sysfs and udev's link."""
        assert self.environment
        entry = self.root / "sys/class/video4linux" / name
        usb = self.root / "sys/devices" / name
        (usb / "interface").mkdir(parents=True)
        entry.mkdir()
        (entry / "device").symlink_to(usb / "interface")
        made = [entry, usb]
        if camera.serial:
            (usb / "serial").write_text(camera.serial + "\n")
            links = self.root / "dev/v4l/by-id"
            links.mkdir(parents=True, exist_ok=True)
            link = links / f"usb-{camera.card.replace(' ', '_')}_{camera.serial}-video-index0"
            link.symlink_to(f"../../{name}")
            made.append(link)
        self._plugged[name] = made
        part = self.root / "state" / f"{name}.part"
        part.write_text(camera.text())
        part.replace(self.root / "dev" / name)

    def unplug(self, name: str) -> None:
        (self.root / "dev" / name).unlink()
        for each in self._plugged.pop(name):
            if each.is_symlink():
                each.unlink()
            else:
                subprocess.run(["rm", "-r", each], check=True)

    def run(self, program: str) -> Any:
        """Run a program beside these devices; return what it prints, from JSON."""
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | self.environment,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stall(self, name: str, *, on: bool = True) -> None:
        path = self.root / "state" / f"{name}.stall"
        path.touch() if on else path.unlink()

    def values(self, name: str) -> list[tuple[int, int]]:
        """Return the controls that were set, by id, in their order."""
        path = self.root / "state" / f"{name}.controls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(left, 16), int(right)) for left, _, right in (line.partition("=") for line in lines)]


def marked(path: Path, fourcc: str, *, size: tuple[int, int], count: int = 60, gop: int = 30) -> str:
    """Write grey pictures with their numbers as content in a format; return the path."""
    width, height = size
    with path.open("wb") as file:
        for payload, key in _payloads(fourcc, width, height, count, gop):
            file.write(len(payload).to_bytes(4, "little") + bytes((key,)) + payload)
    return str(path)


def _payloads(fourcc: str, width: int, height: int, count: int, gop: int) -> Iterable[tuple[bytes, bool]]:
    raw = {"YUYV": "yuyv422", "NV12": "nv12", "YU12": "yuv420p"}.get(fourcc)
    codec = av.CodecContext.create("mjpeg" if fourcc == "MJPG" else "libx264", "w") if raw is None else None
    if codec is not None:
        assert isinstance(codec, av.VideoCodecContext)
        codec.width, codec.height = width, height
        codec.framerate, codec.time_base = Fraction(30), Fraction(1, 30)
        codec.pix_fmt = "yuvj422p" if fourcc == "MJPG" else "yuv420p"
        codec.gop_size = gop
        if fourcc == "H264":
            codec.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "sc_threshold": "0"}
    for number in range(count):
        frame = av.VideoFrame(width, height, "yuv420p")
        luma, blue, red = writable(frame)
        luma[:], blue[:], red[:] = 128, 128, 128
        strip.draw(luma, number=number, captured_at_us=0)
        if codec is None:
            assert raw
            yield frame.reformat(format=raw).to_ndarray().tobytes(), True
            continue
        turned = frame.reformat(format=codec.pix_fmt)
        turned.pts = number
        for packet in codec.encode(turned):
            yield bytes(packet), packet.is_keyframe
