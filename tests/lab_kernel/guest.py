"""Runs in the machine: real kernel devices, and what this project does with them. Each row is one line of JSON."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from device.errors import SourceAbsentError, SourceError
from device.ipc.messages import CameraJob
from device.sources.v4l2 import controls, demuxer, ioctls, modes, nodes
from device.sources.v4l2.camera import V4l2Source

ROWS = Path("/lab/rows.jsonl")
_COUNT = 15
_LOOPBACK = 'source = "pyaudio"\ndevice = "Loopback: PCM (hw:0,1)"'
_VIVID = Path("/sys/bus/platform/drivers/vivid")
_JOB = CameraJob(
    source="v4l2",
    width=640,
    height=360,
    fps=15,
    device="vivid",
    path="",
    hflip=False,
    vflip=False,
    controls={},
    encoder="x264",
    bitrate_max_bps=1_000_000,
    bitrate_min_bps=100_000,
    keyframe_interval_s=2,
    identity="device",
    epoch_us=0,
)


def row(what: str, must: str, look: Callable[[], tuple[bool, str]]) -> None:
    """Write what was seen; an exception is a miss."""
    try:
        ok, seen = look()
    except Exception as error:  # the other rows count too  # noqa: BLE001
        traceback.print_exc()
        ok, seen = False, f"{type(error).__name__}: {error}"
    with ROWS.open("a") as file:
        file.write(json.dumps({"what": what, "seen": seen, "must": must, "ok": bool(ok)}) + "\n")
    print("row", "ok  " if ok else "MISS", what, "|", seen, flush=True)


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def module(*argv: str) -> None:
    text = run("modprobe", *argv)
    if text:
        raise RuntimeError(text)


def command(*argv: str) -> str:
    return run(sys.executable, "-m", "device", *argv)


def devices() -> dict[str, Any]:
    text = command("devices", "--json")
    found: dict[str, Any] = json.loads(text[text.index("{") :])
    return found


def offered() -> list[str]:
    return [f"{each.path} {each.card}" for each in nodes.cameras()[0]]


def taken(source: V4l2Source) -> tuple[bool, str]:
    """Take pictures; return whether they have the size, structure, and increasing times."""
    began = time.monotonic()
    pictures = list(islice(source.pictures(), _COUNT))
    rate = len(pictures) / (time.monotonic() - began)
    times = [each.captured_at_us for each in pictures]
    frame = pictures[-1].frame
    shown = float(np.asarray(frame.to_ndarray(format="gray")).std())
    ok = len(pictures) == _COUNT and all(one < other for one, other in pairwise(times)) and shown > 10
    return ok, f"{source.mode.fourcc} {frame.width}x{frame.height} from {source.node.path}, {rate:.0f}/s"


@contextlib.contextmanager
def capturing(job: CameraJob) -> Iterator[V4l2Source]:
    source = V4l2Source(job)
    try:
        yield source
    finally:
        _end(source)


def _end(source: V4l2Source) -> None:
    """End the reader before the container that it reads."""
    source.close()
    if source._latest._thread.ident:
        source._latest._thread.join(10)
    source._container.close()


def size(width: int, height: int) -> tuple[bool, str]:
    with capturing(replace(_JOB, width=width, height=height)) as source:
        ok, seen = taken(source)
        return ok and (source.width, source.height) == (width, height), seen


def pixel_format(fourcc: str, width: int, height: int) -> tuple[bool, str]:
    node = nodes.find(_JOB.device)
    with ioctls.opened(node.path) as descriptor:
        mode = modes.choose(modes.listed(descriptor), width=width, height=height, fps=15, formats=(fourcc,))
    container = demuxer.opened(node, mode)
    try:
        decoder: Any = container.streams.video[0].codec_context
        count = 0
        for packet, _ in islice(demuxer.packets(container, node), _COUNT):
            [frame] = decoder.decode(packet)
            count += 1
        shown = float(frame.to_ndarray(format="gray").std())  # a raw picture is the driver's memory
    finally:
        container.close()
    ok = (frame.width, frame.height) == (width, height) and shown > 10
    return ok, f"{mode.fourcc} {frame.width}x{frame.height}, {count} pictures, {frame.format.name}"


def set_controls() -> tuple[bool, str]:
    with capturing(replace(_JOB, controls={"brightness": 77, "contrast": 33})):
        node = nodes.find("vivid")
        with ioctls.opened(node.path) as descriptor:
            found = {each.name: ioctls.get_control(descriptor, each.id) for each in controls.listed(descriptor)
                     if each.name in ("brightness", "contrast")}  # fmt: skip
    return found == {"brightness": 77, "contrast": 33}, str(found)


def refused(job: CameraJob, *words: str) -> tuple[bool, str]:
    try:
        with capturing(job) as source:
            return False, f"opened {source.node.path}"
    except SourceError as error:
        return all(word in str(error) for word in words), str(error)


def busy() -> tuple[bool, str]:
    with capturing(_JOB) as source:
        list(islice(source.pictures(), 3))
        return refused(_JOB, "busy")


def check(camera: str, microphone: str = 'source = "off"') -> str:
    config = Path("/tmp/device.toml")
    config.write_text(
        f'[room]\nurl = "ws://127.0.0.1:9"\nname = "lab"\n[camera]\n{camera}\n[microphone]\n{microphone}\n'
    )
    return command("check", "--no-sandbox", "--config", str(config))


def checked(text: str, name: str) -> tuple[bool, str]:
    lines = [line for line in text.splitlines() if line[2:].startswith(name)]
    return bool(lines) and lines[0].startswith("✓"), " / ".join(lines) or text[-300:]


def unplugged(unplug: Callable[[], object], job: CameraJob) -> tuple[bool, str]:
    """Capture, unplug meanwhile, and wait for the error."""
    with capturing(job) as source:
        pictures = source.pictures()
        list(islice(pictures, 5))
        began = time.monotonic()
        result: list[BaseException] = []

        def go_on() -> None:
            try:
                for _ in pictures:
                    pass
            except BaseException as error:  # noqa: BLE001 - it is the result
                result.append(error)

        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        unplug()
        thread.join(20)
        took = time.monotonic() - began
    if not result:
        return False, f"nothing within {took:.1f} s"
    return isinstance(result[0], SourceAbsentError), f"after {took:.1f} s: {result[0]}"


def found_again(before: str) -> tuple[bool, str]:
    node = nodes.find("vivid")
    with capturing(_JOB) as source:
        ok, seen = taken(source)
    return ok and node.path != before, f"was {before}; {seen}"


class Producer:
    """Feeds a loopback device."""

    def __init__(self, path: str, codec: str, pixels: str) -> None:
        self._pixels = pixels
        self._container = av.open(path, "w", format="v4l2")
        stream: Any = self._container.add_stream(codec, rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 480, pixels
        stream.time_base = Fraction(1, 15)
        if codec == "mjpeg":
            stream.codec_context.options = {"strict": "-1"}
        self._stream = stream
        self._quit = threading.Event()
        self._write(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _write(self, number: int) -> None:
        luma = np.tile(np.arange(640, dtype=np.uint8), (480, 1))
        frame = av.VideoFrame.from_ndarray(np.roll(luma, number, axis=1), format="gray")
        frame = frame.reformat(format=self._pixels)
        frame.pts = number
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _run(self) -> None:
        number = 0
        while not self._quit.wait(1 / 15):
            number += 1
            self._write(number)

    def close(self) -> None:
        self._quit.set()
        self._thread.join(10)
        self._container.close()


def vivid_rows() -> str:
    module("vivid", "n_devs=1", "node_types=0x40101", "num_inputs=1", "input_types=0x0")
    found, others = nodes.cameras()
    row(
        "devices --json with vivid",
        "the capture node with sizes and controls; neither its output nor its metadata node",
        lambda: (
            [each.card for each in found] == ["vivid"]
            and len(others) >= 2
            and "vivid" in json.dumps(devices())
            and "brightness" in json.dumps(devices()),
            f"{offered()}; not: {others}",
        ),
    )
    for width, height in ((320, 180), (640, 360), (640, 480), (1280, 720)):
        row(f"vivid {width}x{height}", "this size, pictures with increasing times", partial(size, width, height))
    for fourcc in ("YUYV", "NV12", "UYVY", "YU12", "GREY", "RGB3"):
        row(f"vivid {fourcc} 640x360", "pictures of that format", partial(pixel_format, fourcc, 640, 360))
    row("vivid, a size that it has not (700x500)", "the nearest", _nearest)
    row("[camera.controls] brightness, contrast", "the kernel has these values", set_controls)
    row(
        "[camera.controls] with an unknown name",
        "an error that names it",
        lambda: refused(replace(_JOB, controls={"brightnes": 1}), "brightnes"),
    )
    row(
        "[camera.controls] out of range",
        "an error that names the control",
        lambda: refused(replace(_JOB, controls={"brightness": 7000}), "brightness"),
    )
    row("a second program opens it", "an error: busy", busy)
    row("check", "the camera's row is good", lambda: checked(check('source = "v4l2"\ndevice = "vivid"'), "camera"))
    return found[0].path


def _nearest() -> tuple[bool, str]:
    said: list[str] = []
    source = V4l2Source(replace(_JOB, width=700, height=500), on_difference=said.append)
    try:
        ok, seen = taken(source)
    finally:
        _end(source)
    return ok and bool(said), f"{seen}; {said}"


def _unbind() -> None:
    (_VIVID / "unbind").write_text("vivid.0")


def unplug_rows(before: str) -> None:
    row("unbound while capturing", "an error within 20 s: no longer connected", lambda: unplugged(_unbind, _JOB))
    row("after that", "absent", _absent)
    # The loopback takes the number that has become free.
    module("v4l2loopback", "devices=1", "exclusive_caps=1", "card_label=Loop")
    loop = _loop()
    row("v4l2loopback without a producer", "not offered", lambda: (not any("Loop" in each for each in offered()),
        f"{loop}: {nodes.cameras()[1].get(loop)}"))  # fmt: skip
    (_VIVID / "bind").write_text("vivid.0")
    time.sleep(1)
    row("bound again", "found by name under another number, pictures", lambda: found_again(before))
    loopback_rows(loop)


def _absent() -> tuple[bool, str]:
    try:
        return False, nodes.find("vivid").path
    except SourceAbsentError as error:
        return True, str(error)


def _loop() -> str:
    [name] = [
        each.parent.name for each in Path("/sys/class/video4linux").glob("*/name") if each.read_text().strip() == "Loop"
    ]
    return f"/dev/{name}"


def loopback_rows(loop: str) -> None:
    job = replace(_JOB, device="Loop", width=640, height=480)
    for codec, pixels, fourcc in (
        ("rawvideo", "yuyv422", "YUYV"),
        ("rawvideo", "nv12", "NV12"),
        ("mjpeg", "yuvj420p", "MJPG"),
    ):
        row(
            f"v4l2loopback, a producer of {fourcc}",
            "offered, and captured in this format",
            partial(looped, loop, codec, pixels, fourcc, job),
        )
    row("v4l2loopback, its producer has ended", "not offered", lambda: (not any("Loop" in e for e in offered()),
        f"{loop}: {nodes.cameras()[1].get(loop)}"))  # fmt: skip


def looped(loop: str, codec: str, pixels: str, fourcc: str, job: CameraJob) -> tuple[bool, str]:
    producer = Producer(loop, codec, pixels)
    try:
        there = any("Loop" in each for each in offered())
        with capturing(job) as source:
            ok, seen = taken(source)
            return ok and there and source.mode.fourcc == fourcc, seen
    finally:
        producer.close()


def sound_rows() -> None:
    module("snd-aloop")
    tone = subprocess.Popen(
        ["speaker-test", "-D", "hw:Loopback,0", "-c", "2", "-r", "48000", "-F", "S16_LE", "-t", "sine", "-f", "440"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        row("snd-aloop: devices --json", "listed as a microphone", _microphones)
        row(
            "snd-aloop: check",
            "the microphone's row is good",
            lambda: checked(check('source = "off"', _LOOPBACK), "microphone"),
        )
    finally:
        tone.kill()
        tone.wait()


def _microphones() -> tuple[bool, str]:
    text = json.dumps(devices()["microphones"])
    return "Loopback" in text, text[:300]


def main() -> None:
    os.environ |= {"NO_COLOR": "1", "DEVICE_CREDENTIALS__API_KEY": "key", "DEVICE_CREDENTIALS__API_SECRET": 40 * "s"}
    before = vivid_rows()
    unplug_rows(before)
    sound_rows()
    print("lab: done", flush=True)
    os._exit(0)  # FFmpeg's memory-mapped buffers do not survive the interpreter's own end


if __name__ == "__main__":
    main()
