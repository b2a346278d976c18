"""Decisions about V4L2 cameras: which node, which mode, which values of controls, which clock."""

from __future__ import annotations

import errno
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from device.errors import SourceAbsentError, SourceError
from device.sources.v4l2.controls import Control, Kind, checked, variable_name
from device.sources.v4l2.copying import NotCopyableError, copied_mode
from device.sources.v4l2.demuxer import captured_at_us, failure
from device.sources.v4l2.latest import Latest
from device.sources.v4l2.modes import Mode, Sizes, choose, difference
from device.sources.v4l2.nodes import Node, reason_against
from device.sources.v4l2.nodes import choose as choose_node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from device.config.table import ControlValue

_CAPTURE, _META, _OUTPUT, _M2M, _STREAMING = 0x1, 0x0080_0000, 0x2, 0x8000, 0x0400_0000


def node(number: int, card: str, serial: str = "") -> Node:
    return Node(path=f"/dev/video{number}", card=card, driver="uvcvideo", bus="usb-1", serial=serial)


NODES = [node(0, "HD Pro Webcam C920", "8F2A"), node(2, "C920", "77"), node(4, "Capture Card")]


def sizes(fourcc: str, width: int, height: int, *rates: int) -> Sizes:
    return Sizes(fourcc=fourcc, width=width, height=height, rates=tuple(map(Fraction, rates)))


USB2 = [
    sizes("YUYV", 640, 480, 30, 15),
    sizes("YUYV", 1280, 720, 10, 5),
    sizes("MJPG", 640, 480, 60, 30, 15),
    sizes("MJPG", 1280, 720, 30, 15),
    sizes("H264", 1280, 720, 30),
]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    (
        ((640, 480, 30), ("YUYV", 640, 480, Fraction(30))),
        ((1280, 720, 30), ("MJPG", 1280, 720, Fraction(30))),
        ((1280, 720, 10), ("YUYV", 1280, 720, Fraction(10))),
        ((1280, 720, 12), ("MJPG", 1280, 720, Fraction(15))),
        ((640, 480, 60), ("MJPG", 640, 480, Fraction(60))),
        ((640, 480, 120), ("MJPG", 640, 480, Fraction(60))),
        ((1920, 1080, 30), ("MJPG", 1280, 720, Fraction(30))),
    ),
)
def test_size_comes_before_rate_and_rate_before_cost(
    wanted: tuple[int, int, int], expected: tuple[str, int, int, Fraction]
) -> None:
    width, height, fps = wanted
    mode = choose(USB2, width=width, height=height, fps=fps)
    assert (mode.fourcc, mode.width, mode.height, mode.rate) == expected


def test_what_the_camera_lacks_is_said() -> None:
    mode = Mode(fourcc="YUYV", width=640, height=480, rate=Fraction(15))
    assert difference(mode, width=640, height=480, fps=15) == ""
    assert difference(mode, width=800, height=600, fps=30) == (
        "it does not offer 800x600; the nearest is 640x480; at 640x480 it offers 15 fps at most, not 30"
    )


def test_rates_of_ntsc_are_the_configured_ones() -> None:
    mode = choose([sizes("YUYV", 720, 480)], width=720, height=480, fps=30)
    assert mode.rate == 0
    ntsc = Sizes(fourcc="YUYV", width=720, height=480, rates=(Fraction(30000, 1001),))
    mode = choose([ntsc], width=720, height=480, fps=30)
    assert difference(mode, width=720, height=480, fps=30) == ""


def test_sizes_in_steps_and_any_rate() -> None:
    steps = Sizes(
        fourcc="NV12",
        width=1920,
        height=1080,
        least=(64, 64),
        step=(16, 8),
        rates=(Fraction(60), Fraction(1)),
        any_rate=True,
    )
    mode = choose([steps], width=650, height=484, fps=25)
    assert (mode.width, mode.height, mode.rate) == (640, 480, Fraction(25))
    assert str(steps) == "NV12 64x64 to 1920x1080 at 60 to 1 fps"


def test_a_camera_without_a_known_format_is_an_error() -> None:
    with pytest.raises(SourceError, match="the camera offers BA81, H264; supported: YU12"):
        choose([sizes("H264", 640, 480, 30), sizes("BA81", 640, 480, 30)], width=640, height=480, fps=30)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    (("", 0), ("c920", 2), ("Pro", 0), ("capture", 4), ("serial:77", 2), ("Serial:8f2a", 0), ("/dev/video4", 4)),
)
def test_a_camera_is_chosen_by_node_name_or_serial(wanted: str, expected: int) -> None:
    assert choose_node(NODES, {}, wanted, resolved=wanted).path == f"/dev/video{expected}"


def test_a_camera_that_is_not_there_is_absent_and_the_others_are_listed() -> None:
    with pytest.raises(SourceAbsentError, match=r"'Brio' by node.*there are: HD Pro Webcam C920 \(/dev/video0, serial"):
        choose_node(NODES, {}, "Brio")
    with pytest.raises(SourceAbsentError, match=r"there is no V4L2 camera \(/dev/video1 cannot be opened"):
        choose_node([], {"/dev/video1": "cannot be opened: Permission denied"}, "")
    with pytest.raises(SourceAbsentError):
        choose_node(NODES, {}, "serial:")


def test_a_node_that_is_no_camera_is_named() -> None:
    with pytest.raises(SourceError, match="/dev/video1 does not capture pictures") as error:
        choose_node(NODES, {"/dev/video1": "does not capture pictures"}, "/dev/video1", resolved="/dev/video1")
    assert not isinstance(error.value, SourceAbsentError)


@pytest.mark.parametrize(
    ("driver", "capabilities", "has_formats", "why"),
    (
        ("uvcvideo", _CAPTURE | _STREAMING, True, ""),
        ("v4l2 loopback", _CAPTURE | _OUTPUT | _STREAMING, True, ""),
        ("v4l2 loopback", _CAPTURE | _OUTPUT | _STREAMING, False, "loopback"),
        ("v4l2 loopback", _OUTPUT | _STREAMING, True, "does not capture"),
        ("uvcvideo", _META | _STREAMING, True, "does not capture"),
        ("hantro-vpu", _M2M | _CAPTURE | _STREAMING, True, "own camera or codec"),
        ("anything", _M2M | _CAPTURE | _STREAMING, True, "does not capture"),
        ("uvcvideo", _CAPTURE, True, "does not stream"),
        *((name, _CAPTURE | _STREAMING, True, "own camera or codec") for name in ("unicam", "rp1-cfe", "bcm2835-isp")),
    ),
)
def test_what_is_no_camera_is_not_offered(driver: str, capabilities: int, has_formats: bool, why: str) -> None:  # noqa: FBT001
    found = reason_against(driver, capabilities, has_formats=has_formats)
    assert (why in found) if why else found == ""


def control(
    name: str, kind: Kind = Kind.INTEGER, least: int = 0, most: int = 100, step: int = 1, **other: object
) -> Control:
    values = {"id": 1, "default": 5, "read_only": False} | other
    return Control(name=name, kind=kind, least=least, most=most, step=step, **values)  # type: ignore[arg-type]


CONTROLS = [
    control("brightness", least=-64, most=64),
    control("gain", step=5),
    control("zoom", read_only=True),
    control("privacy", kind=Kind.BOOLEAN, most=1),
    control("power_line_frequency", kind=Kind.MENU, most=2, items=((0, "Disabled"), (1, "50 Hz"), (2, "60 Hz"))),
]


def test_controls_are_checked_and_switches_come_first() -> None:
    wanted: dict[str, ControlValue] = {"brightness": -3, "Gain": 10.0, "power_line_frequency": "50 hz", "privacy": True}
    assert [(each.name, value) for each, value in checked(wanted, CONTROLS)] == [
        ("power_line_frequency", 1),
        ("privacy", 1),
        ("brightness", -3),
        ("gain", 10),
    ]
    assert checked({"power_line_frequency": 2}, CONTROLS)[0][1] == 2
    button = control("focus_now", kind=Kind.BUTTON)
    assert checked({"focus_now": True}, [button]) == [(button, 1)]
    assert checked({"focus_now": False}, [button]) == []


@pytest.mark.parametrize(
    ("key", "value", "text"),
    (
        ("brigthness", 1, "no such control (did you mean brightness?); it has: brightness, gain"),
        ("brightness", 65, "65 is not allowed; allowed: -64 to 64"),
        ("brightness", "high", "'high' is not allowed"),
        ("brightness", True, "True is not allowed"),
        ("brightness", 1.5, "1.5 is not allowed"),
        ("brightness", [1], "is not allowed"),
        ("gain", 7, "in steps of 5"),
        ("zoom", 1, "is read-only"),
        ("privacy", 1.0, None),
        ("power_line_frequency", "55 Hz", "allowed: 0: Disabled, 1: 50 Hz, 2: 60 Hz"),
        ("power_line_frequency", 3, "3 is not allowed"),
        ("power_line_frequency", True, "True is not allowed"),
    ),
)
def test_a_wrong_control_is_an_error_that_says_what_is_allowed(key: str, value: object, text: str | None) -> None:
    if text is None:
        assert checked({key: value}, CONTROLS)  # type: ignore[dict-item]
        return
    with pytest.raises(SourceError, match=f"camera.controls.{key}: .*{re.escape(text)}"):
        checked({key: value}, CONTROLS)  # type: ignore[dict-item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The keys of the configuration that decide."""

    encoder: str = "auto"
    width: int = 1280
    height: int = 720
    fps: int = 30
    hflip: bool = False
    vflip: bool = False
    rotate: int = 0


def h264_controls(least_bps: int = 50_000) -> list[Control]:
    bitrate = control("video_bitrate", least=least_bps, most=8_000_000, id=0x9909CF)
    return [bitrate, control("force_key_frame", kind=Kind.BUTTON, id=0x9909E5)]


@pytest.mark.parametrize(
    ("wanted", "offered", "why"),
    (
        (Wanted(), h264_controls(), ""),
        (Wanted(), h264_controls()[:1], "its bitrate and its key frames cannot be controlled"),
        (Wanted(), CONTROLS, "its bitrate and its key frames cannot be controlled"),
        (Wanted(), h264_controls(least_bps=1_000_000), "its bitrate is 1000000 bit/s at least"),
        (Wanted(width=640, height=480), h264_controls(), "as H.264 it does not offer 640x480"),
        (Wanted(vflip=True), h264_controls(), "turned"),
        (Wanted(rotate=90), h264_controls(), "turned"),
        (Wanted(encoder="x264"), h264_controls(), "another encoder"),
        (Wanted(encoder="copy", width=640, vflip=True), CONTROLS, ""),
    ),
)
def test_h264_of_a_camera_is_used_if_it_can_follow_the_room_or_if_it_is_wanted(
    wanted: Wanted, offered: list[Control], why: str
) -> None:
    if why:
        with pytest.raises(NotCopyableError, match=why):
            copied_mode(USB2, offered, wanted)
    else:
        assert copied_mode(USB2, offered, wanted).fourcc == "H264"


def test_names_are_those_of_v4l2_ctl() -> None:
    assert variable_name(b"Exposure Time, Absolute\0") == "exposure_time_absolute"
    assert variable_name(b"White Balance, Automatic") == "white_balance_automatic"
    assert variable_name(b" H264 I-Frame Period\0\xff") == "h264_i_frame_period"


def test_times_of_another_clock_are_replaced_by_the_time_of_arrival() -> None:
    now = 9_000_000
    assert captured_at_us(now - 40_000, now) == now - 40_000
    assert captured_at_us(1_700_000_000_000_000, now) == now
    assert captured_at_us(0, now) == now
    assert captured_at_us(None, now) == now


@pytest.mark.parametrize(
    ("number", "absent", "text"),
    (
        (errno.ENODEV, True, "no longer connected"),
        (errno.EBUSY, False, "is busy: another program uses it"),
        (errno.EACCES, False, "the group `video`"),
        (errno.ENOSPC, False, "no bandwidth left for MJPG 640x480"),
        (errno.ENOLINK, False, "fails with MJPG 640x480: Link has been severed"),
        (errno.EINVAL, True, "no longer connected"),  # the node is gone, as after an unplug
        (errno.EIO, True, "no longer connected"),
    ),
)
def test_errors_of_the_system_say_what_to_do(number: int, absent: bool, text: str) -> None:  # noqa: FBT001
    error = failure(OSError(number, "secret"), node(9, "Cam"), "MJPG 640x480")
    assert isinstance(error, SourceAbsentError) == absent
    assert text in str(error)
    assert "Cam (/dev/video9)" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("number", (errno.EINVAL, errno.EIO))
def test_an_error_of_a_camera_that_is_there_is_not_an_unplug(tmp_path: Path, number: int) -> None:
    there = tmp_path / "video9"
    there.touch()
    error = failure(OSError(number, ""), replace(node(9, "Cam"), path=str(there)), "YUYV 640x480")
    assert not isinstance(error, SourceAbsentError)
    assert "fails with YUYV 640x480" in str(error)


def test_a_slow_consumer_gets_the_latest_item_and_the_others_are_counted() -> None:
    wanted = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(9):
            wanted.acquire()
            yield number
        raise SourceError("gone")

    latest = Latest(items(), name="test-reader")
    taken = iter(latest)

    def deliver(count: int) -> None:
        """Let the thread yield, and wait until it wants the next permission, so that the items have arrived."""
        wanted.release(count)
        while wanted._value:
            time.sleep(0.001)

    wanted.release()
    assert next(taken) == 0
    deliver(4)
    assert next(taken) in (3, 4)
    assert latest.dropped == 0  # they were there at the start
    deliver(4)
    with pytest.raises(SourceError, match="gone"):
        deque(taken, maxlen=0)
    assert latest.dropped >= 2
