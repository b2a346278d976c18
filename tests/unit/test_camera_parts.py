"""Parts of the camera source that the lab's virtual camera does not cover: padded strides, both layouts, selection."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import SourceAbsentError, SourceError
from device.sources import picamera2
from device.sources.controls import NIGHT, checked_controls
from device.sources.pacing import RateLimit, missed_frames
from device.sources.planes import packed
from device.sources.portaudio import PortAudioDevice
from device.sources.pyaudio import choose
from device.sources.v4l2.nodes import is_usb

_CAMERAS = [
    {"Num": 0, "Model": "imx708_wide", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"},
    {"Num": 1, "Model": "C920", "Id": "/base/scb/pcie@7d500000/usb-1.2:1.0-046d:082d"},
]
_CONTROLS = {"AeEnable": (False, True, True), "ExposureTime": (75, 11766829, 20000), "ColourGains": (0.0, 32.0, None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """As the camera would report it."""

    pixel_format: str
    width: int
    height: int
    stride: int


def _buffer(layout: Layout) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint8]], list[np.ndarray]]:
    """Return a camera's buffer with padding and random planes, and those planes."""
    chance = np.random.default_rng(7)
    width, height, stride = layout.width, layout.height, layout.stride
    shapes = (
        [(height, width, stride), (height // 2, width, stride)]
        if layout.pixel_format == "nv12"
        else [(height, width, stride), *[(height // 2, width // 2, stride // 2)] * 2]
    )
    pieces, planes = [], []
    for rows, columns, padded in shapes:
        plane = chance.integers(0, 255, (rows, columns), np.uint8)
        piece = np.full((rows, padded), 0xEE, np.uint8)
        piece[:, :columns] = plane
        planes.append(plane)
        pieces.append(piece.reshape(-1))
    # Extra bytes at the end, as allocators add them.
    return np.concatenate([*pieces, np.full(4096, 0xEE, np.uint8)]), planes


@pytest.mark.parametrize("pixel_format", ("yuv420p", "nv12"))
@pytest.mark.parametrize(
    ("width", "height", "stride"), ((640, 480, 640), (1296, 972, 1344), (1920, 1080, 1920), (642, 482, 704))
)
def test_padded_buffers_are_repacked(pixel_format: str, width: int, height: int, stride: int) -> None:
    layout = Layout(pixel_format=pixel_format, width=width, height=height, stride=stride)
    buffer, planes = _buffer(layout)
    frame = packed(buffer, layout)
    assert (frame.width, frame.height, frame.format.name) == (width, height, pixel_format)
    for plane, expected in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
        assert (rows[:, : expected.shape[1]] == expected).all()


@pytest.mark.parametrize("pixel_format", ("yuv420p", "nv12"))
def test_a_short_buffer_is_refused(pixel_format: str) -> None:
    layout = Layout(pixel_format=pixel_format, width=640, height=480, stride=640)
    with pytest.raises(SourceError, match="needs 460800 bytes, the camera gave 460799"):
        packed(np.zeros(460_799, np.uint8), layout)


def test_a_frame_keeps_its_buffer() -> None:
    layout = Layout(pixel_format="yuv420p", width=64, height=48, stride=64)
    frame = packed(np.full(64 * 48 * 3 // 2, 99, np.uint8), layout)
    assert isinstance(frame, av.VideoFrame)
    assert (frame.to_ndarray() == 99).all()


@pytest.mark.parametrize(
    ("wanted", "number"), (("", 0), ("0", 0), ("1", 1), ("c920", 1), ("IMX708", 0), ("usb-1.2", 1))
)
def test_a_camera_is_found_by_number_model_or_id(wanted: str, number: int) -> None:
    assert picamera2.choose(_CAMERAS, wanted) == number


def test_the_first_camera_is_not_one_of_usb_unless_there_is_no_other() -> None:
    assert picamera2.choose(_CAMERAS[::-1], "") == 1
    assert picamera2.choose(_CAMERAS[1:], "") == 0
    assert [is_usb(each["Id"]) for each in _CAMERAS] == [False, True]  # type: ignore[arg-type]
    assert is_usb(r"\_SB_.PCI0.XHC_.RHUB.HS08-8:1.0-0c45:6710")


def test_an_absent_camera_raises_with_a_list_of_cameras() -> None:
    with pytest.raises(SourceError, match=r"'ov5647'; there are: 0: imx708_wide .*, 1: C920"):
        picamera2.choose(_CAMERAS, "ov5647")
    with pytest.raises(SourceError, match="libcamera finds no camera"):
        picamera2.choose([], "")


def test_a_number_is_only_a_number_and_an_exact_name_wins() -> None:
    found = [
        {"Model": "imx708_wide", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"},
        {"Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@0/imx708@1a"},
    ]
    assert picamera2.choose(found, "imx708") == 1
    assert picamera2.choose(found, "IMX708_wide") == 0
    assert picamera2.choose(found, "1") == 1
    # Both ids contain a 2 in "i2c", which must not match.
    with pytest.raises(SourceAbsentError, match=r"'2'; there are: 0: imx708_wide .*, 1: imx708") as caught:
        picamera2.choose(found, "2")
    assert caught.value.for_viewers == "this camera is not connected"


@pytest.mark.parametrize("name", ("FrameRate", "framerate", "FRAMEDURATIONLIMITS", "framedurationlimits"))
def test_frame_rate_controls_are_refused_in_any_letter_case(name: str) -> None:
    with pytest.raises(SourceError, match=r"set camera\.fps instead"):
        checked_controls({name: 10}, {**_CONTROLS, "FrameDurationLimits": (1, 2, 1)})


def test_a_control_that_is_set_twice_is_refused() -> None:
    with pytest.raises(SourceError, match="ExposureTime is set twice, in different letter case"):
        checked_controls({"ExposureTime": 10_000, "exposuretime": 20_000}, _CONTROLS)


def test_controls_are_checked_against_the_camera() -> None:
    wanted = {"aeenable": False, "ExposureTime": 10_000, "ColourGains": [1.5, 2.0]}
    assert checked_controls(wanted, _CONTROLS) == {
        "AeEnable": False,
        "ExposureTime": 10_000,
        "ColourGains": (1.5, 2.0),
    }
    with pytest.raises(SourceError, match="no such control; it has: AeEnable, ColourGains, ExposureTime"):
        checked_controls({"Exposure": 1}, _CONTROLS)
    with pytest.raises(SourceError, match="10 is out of range; allowed: 75 to 11766829"):
        checked_controls({"ExposureTime": 10}, _CONTROLS)
    with pytest.raises(SourceError, match=r"set camera\.fps instead"):
        checked_controls({"FrameRate": 10}, _CONTROLS)


def test_controls_of_the_night_are_checked_alike_and_named_as_such() -> None:
    with pytest.raises(SourceError, match=r"^camera\.night\.controls\.Exposure: this camera has no such") as caught:
        checked_controls({"Exposure": 1}, _CONTROLS, table=NIGHT)
    assert caught.value.for_viewers == "camera.night.controls does not fit this camera"


def test_frames_that_were_not_fetched_are_counted() -> None:
    assert missed_frames(33_400, {"FrameDuration": 33_333}) == 0
    assert missed_frames(100_100, {"FrameDuration": 33_333}) == 2
    assert missed_frames(500_000, {"FrameDuration": 500_000}) == 0  # a long exposure
    assert missed_frames(500_000, {}) == 0


def _microphone(index: int, name: str, *, default: bool = False) -> PortAudioDevice:
    return PortAudioDevice(index=index, name=name, host="ALSA", channels=1, rate=48_000, default=default)


def test_a_microphone_is_found_by_part_of_its_name_an_exact_name_first() -> None:
    found = [_microphone(0, "USB Audio 2"), _microphone(1, "usb audio"), _microphone(2, "seeed", default=True)]
    assert choose(found, "USB Audio").index == 1
    assert choose(found, "audio 2").index == 0
    assert choose(found, "").index == 2
    assert choose(found[:2], "").index == 0
    with pytest.raises(SourceError, match=r"no microphone's name holds 'blue', .* 'USB Audio 2', 'usb audio', 'seeed'"):
        choose(found, "blue")
    with pytest.raises(SourceError, match="there is no microphone"):
        choose([], "")


@pytest.mark.parametrize("source_fps", (30.3, 60, 90, 114, 246, 1000))
def test_a_faster_source_is_limited_to_the_rate(source_fps: float) -> None:
    limit = RateLimit(fps=30)
    admitted = sum(limit.admits(round(n * 1e6 / source_fps)) for n in range(int(source_fps * 20)))
    assert abs(admitted / 20 - min(30, source_fps)) < 0.4


@given(st.floats(29.2, 30.8))
def test_a_sensor_slightly_off_the_rate_loses_no_frame(source_fps: float) -> None:
    limit = RateLimit(fps=30)
    assert all(limit.admits(round(n * 1e6 / source_fps)) for n in range(2000))
