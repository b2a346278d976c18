"""Installs the stand-ins for hardware into a root. Shipped code does not refer to them."""

from pathlib import Path

from tests.lab.root import VENV, in_chroot

SOURCES = Path(__file__).parent / "shims"
FOLDER = "opt/lab"
VIRTUAL_CAMERAS = "usr/share/libcamera/pipeline/virtual/virtual.yaml"
LIBRARIES = {
    "v4l2m2m_shim": ("-lx264", "-ldl", "-lpthread"),
    "udmabuf_shim": ("-ldl",),
    "microphone_shim": ("-lasound", "-ldl"),
}
MODULES = ("lab_picamera2.py", "lab_picamera2.pth", "lab_faults.py", "lab_faults.pth")
PRELOAD = " ".join(f"/{FOLDER}/{name}.so" for name in LIBRARIES)
# "stalled": no frames; "hung": stop() never returns; "listen-raises": picamera2's thread does; "seized": it hangs, with
# Python's lock; "absent": there is no camera. With a process id behind it: in that process alone.
CAMERA_SWITCH = "/run/lab-camera"
ENCODER_SWITCH = "/run/lab-encoder"  # "absent", "busy": cannot be opened; "gone": fails; "stalled": answers nothing
# A word of shims/lab_faults.py, the daemon's process id, and a number that makes each order unique.
DAEMON_SWITCH = "/run/lab-daemon"
LISTENING = "Environment=LAB_FAULTS=1"  # a line for the unit of a daemon that follows these orders

DROP_IN = f"""\
[Service]
Environment="LD_PRELOAD={PRELOAD}"
"""


def install(root: Path) -> None:
    """Compile and install every stand-in; in a `root` with a compiler and the venv, before it boots."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, libraries in LIBRARIES.items():
        (folder / f"{name}.c").write_bytes((SOURCES / f"{name}.c").read_bytes())
        built = f"/{FOLDER}/{name}.so"
        in_chroot(root, "gcc", "-shared", "-fPIC", "-O2", "-o", built, f"/{FOLDER}/{name}.c", *libraries)
    (folder / "tone.py").write_bytes((SOURCES / "tone.py").read_bytes())
    for name, content in _uncompiled(root).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def copied(root: Path, *, into: Path) -> dict[str, bytes]:
    """Return the files that give another root with a venv, `into`, the stand-ins of `root`."""
    compiled = {f"{FOLDER}/{path.name}": path.read_bytes() for path in (root / FOLDER).iterdir()}
    return compiled | _uncompiled(into)


def _uncompiled(root: Path) -> dict[str, bytes]:
    packages = next((root / VENV.lstrip("/") / "lib").glob("python3.*/site-packages")).relative_to(root)
    names = {VIRTUAL_CAMERAS: "virtual.yaml"}
    names |= {f"{packages}/{name}": name for name in MODULES}
    return {path: (SOURCES / name).read_bytes() for path, name in names.items()}
