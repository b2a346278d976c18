"""The V4L2 source on stand-ins for cameras, which FFmpeg and our own ioctls read."""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.v4l2_cameras import H264_CONTROLS, META, STREAMING, Camera, Tree, marked

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import json, os
from device.clock import monotonic_us
from device.errors import DeviceError
from device.ipc.messages import CameraJob
from device.sources import strip
from device.sources.planes import writable
from device.sources.v4l2.camera import V4l2Source
job = dict(
    source="v4l2", width=320, height=240, fps=30, device="", path="", hflip=False, vflip=False, controls={{}},
    encoder="auto", bitrate_max_bps=10**6, bitrate_min_bps=10**5, keyframe_interval_s=10, identity="", epoch_us=0,
)
said, found = [], []
def first(count, unplug_after=0, **settings):
    global source
    source = V4l2Source(CameraJob(**(job | settings)), on_difference=said.append)
    for picture in source.pictures():
        read = strip.read(writable(picture.frame)[0])
        found.append([read and read.number, monotonic_us() - picture.captured_at_us])
        if len(found) == unplug_after:
            os.unlink("/".join((os.environ["V4L2_CAMERAS"], source.node.path)))
        if len(found) == count:
            return
try:
    {body}
except DeviceError as error:
    print(json.dumps([type(error).__name__, str(error)]), flush=True)
else:
    print(json.dumps([said, found, source.mode.fourcc, source.width, source.height, source.fps]), flush=True)
os._exit(0)
"""


def program(body: str) -> str:
    return _PROGRAM.format(body=body)


@pytest.mark.parametrize("fourcc", ("YUYV", "NV12", "YU12", "MJPG"))
def test_pictures_of_each_format_arrive_in_order_with_the_drivers_time(tmp_path: Path, fourcc: str) -> None:
    tree = Tree(tmp_path)
    content = marked(tmp_path / "content", fourcc, size=(320, 240), count=20)
    tree.plug("video0", Camera(modes=(f"{fourcc} 320 240 0 30 {content}",)))
    said, found, *shape = tree.run(program("first(8)"))
    assert (said, shape) == ([], [fourcc, 320, 240, 30])
    numbers = [number for number, _ in found]
    assert numbers == sorted(numbers)
    assert numbers[-1] >= 7
    assert all(0 <= age_us < 500_000 for _, age_us in found)


def test_controls_of_the_night_are_checked_at_the_start(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera(modes=("YUYV 320 240 0 30",)))
    body = 'first(1, night={"enabled": True, "controls": {"gian": 1}})'
    kind, text = tree.run(program(body))
    assert kind == "SourceError"
    assert text.startswith("camera.night.controls.gian: this camera has no such control (did you mean gain?)")


def test_nearest_size_and_metadata_nodes(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera(capabilities=META | STREAMING))
    tree.plug("video1", Camera(card="Other"))
    content = marked(tmp_path / "content", "YUYV", size=(640, 480), count=3)
    tree.plug("video2", Camera(serial="S2", modes=(f"YUYV 640 480 0 15 {content}", "YUYV 160 120 0 30")))
    body = 'first(2, width=720, height=500, device="/dev/v4l/by-id/usb-HD_Webcam_S2-video-index0", hflip=True)'
    said, found, *shape = tree.run(program(body))
    assert shape == ["YUYV", 640, 480, 15]
    assert "(/dev/video2): it does not offer 720x500; the nearest is 640x480; at 640x480 it offers 15" in said[
        0
    ].replace(str(tmp_path), "")
    assert [number for number, _ in found] == [None, None]  # mirrored


def test_the_cameras_own_flip_is_used_and_a_size_between_its_steps_is_the_next_smaller(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    flip = "control 980914 2 0 0 1 1 0 Horizontal Flip"
    tree.plug("video0", Camera(modes=("YU12 640 480 16 30",), controls=(flip,)))
    said, _, *shape = tree.run(program("first(1, width=330, height=240, hflip=True)"))
    assert shape == ["YU12", 320, 240, 30]
    assert said == ["HD Webcam (/dev/video0): it does not offer 330x240; the nearest is 320x240"]
    assert tree.values("video0") == [(0x980914, 1)]


def test_times_of_the_wall_clock_are_not_used(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera(extra=("wall_clock yes",)))
    _, found, *_ = tree.run(program("first(3)"))
    assert all(0 <= age_us < 500_000 for _, age_us in found)


def test_controls_are_set_changed_and_given_back_their_defaults(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera())
    tree.run(
        program(
            'first(1, controls={"brightness": 5, "power_line_frequency": "60 Hz"}); source.set_controls({"gain": 15})'
        )
    )
    values = tree.values("video0")
    assert values == [(0x980918, 2), (0x980900, 5), (0x980918, 1), (0x980900, 0), (0x980913, 15)]


def test_h264_starts_with_a_key_frame_and_has_the_drivers_time(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    content = marked(tmp_path / "content", "H264", size=(320, 240), count=12, gop=5)
    tree.plug("video0", Camera(modes=(f"H264 320 240 0 30 {content}",), controls=H264_CONTROLS))
    body = """
    from device.sources.v4l2.encoded import V4l2Units
    source = V4l2Units(CameraJob(**(job | {"encoder": "copy"})))
    for unit in source.units():
        found.append([unit.key, monotonic_us() - unit.captured_at_us])
        if len(found) == 4:
            source.set_bitrate(1234)
            source.force_key_frame()
        if len(found) == 8:
            break
    """
    _, found, *shape = tree.run(program(body.strip()))
    assert shape == ["H264", 320, 240, 30]
    keys = [key for key, _ in found]
    assert keys[:4] == [True, False, False, False]
    assert any(keys[4:6])
    assert all(0 <= age_us < 500_000 for _, age_us in found)
    assert tree.values("video0") == [(0x9909CF, 50_000), (0x9909E5, 1)]


@pytest.mark.parametrize("controls", (H264_CONTROLS, ()))
def test_a_late_viewer_of_h264_has_a_key_frame_from_the_camera_or_from_the_encoder(
    tmp_path: Path, controls: tuple[str, ...]
) -> None:
    tree = Tree(tmp_path)
    content = marked(tmp_path / "content", "H264", size=(320, 240), count=60, gop=99)
    tree.plug("video0", Camera(modes=(f"H264 320 240 0 30 {content}",), controls=controls))
    body = """
    from types import SimpleNamespace
    from device.errors import SourceError
    from device.ipc.messages import ForceKeyFrame, SetBitrate, SetKeyFramesOnly
    from device.workers.v4l2_copy import pass_through
    asked = {0: [SetKeyFramesOnly(enabled=False)], 10: [SetBitrate(bitrate_bps=400_000), ForceKeyFrame()]}
    class Link:
        def log(self, level, event, **fields):
            said.append([event, fields["why"]])
        capturing = lambda self, what: said.append(what.encoder)
        reply = lambda self, request, error="": None
        def requests(self):
            return [SimpleNamespace(message=each) for each in asked.pop(len(found), [])]
        def unit(self, unit):
            found.append([unit.key, len(unit.payload)])
            if len(found) == 20:
                raise SourceError(json.dumps([said, found]))
    pass_through(Link(), CameraJob(**(job | {"encoder": "copy"})))
    """
    kind, text = tree.run(program(body.strip()))
    assert kind == "SourceError", text
    said, found = json.loads(text)
    assert said == ["copy"]
    keys = [key for key, _ in found]
    assert keys[:10] == [True] + [False] * 9
    assert any(keys[10:16])
    assert tree.values("video0") == ([(0x9909CF, 400_000), (0x9909E5, 1)] if controls else [])


def test_h264_without_a_key_frame_is_left_for_another_format(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    content = tmp_path / "content"
    marked(content, "H264", size=(320, 240), count=12, gop=99)
    units = content.read_bytes()
    content.write_bytes(units[5 + int.from_bytes(units[:4], "little") :])
    modes = (f"H264 320 240 0 30 {content}", "YUYV 320 240 0 30")
    tree.plug("video0", Camera(modes=modes, controls=H264_CONTROLS))
    body = """
    from device.sources.v4l2 import encoded
    from device.workers.v4l2_copy import pass_through
    encoded._KEY_WITHIN_US = 200_000
    class Link:
        def log(self, level, event, **fields):
            said.append([event, fields["why"]])
    pass_through(Link(), CameraJob(**job))
    first(3)
    """
    [(event, why)], found, *shape = tree.run(program(body.strip()))
    assert event == "camera.not_passed_through"
    assert "no key frame with parameter sets" in why
    assert len(found) == 3
    assert shape == ["YUYV", 320, 240, 30]


def test_a_control_that_the_camera_does_not_have_is_an_error(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera())
    kind, text = tree.run(program('first(1, controls={"power_line_frequenzy": 1})'))
    assert kind == "SourceError"
    assert "(did you mean power_line_frequency?); it has: auto_exposure, brightness" in text


def test_a_camera_that_another_program_uses_is_busy(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera())
    with (tmp_path / "dev/video0").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        kind, text = tree.run(program("first(1)"))
    assert kind == "SourceError"
    assert "is busy: " in text
    assert f"pid {os.getpid()}" in text


def test_a_camera_that_is_unplugged_while_it_delivers_is_absent(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera())
    kind, text = tree.run(program("first(99, unplug_after=3)"))
    assert kind == "SourceAbsentError"
    assert text == "HD Webcam (/dev/video0) is no longer connected"
