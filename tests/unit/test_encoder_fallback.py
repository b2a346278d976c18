"""With "auto", software takes over from a board's encoder that fails, which is shut down completely."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import av
import pytest

from device.encoders import v4l2
from device.encoders.v4l2 import V4l2Encoder
from device.errors import EncoderError
from device.ipc.messages import Capturing, SetBitrate
from device.ipc.worker_link import WorkerLink
from device.media.colour import BT709
from device.media.picture import AccessUnit, FramePicture
from device.sources import picamera2
from device.workers.encoding import Encoding
from tests.unit.workers.watched import CAMERA

if TYPE_CHECKING:
    from collections.abc import Iterator

_US = 1_000_000


class Request:
    """A camera's buffer on loan."""

    def __init__(self) -> None:
        self.held = 0

    def acquire(self) -> None:
        self.held += 1

    def release(self) -> None:
        self.held -= 1


class FakeH264Encoder:
    """Behaves as picamera2's does: a thread of its own takes the requests and yields units."""

    made: list[FakeH264Encoder]

    def __init__(self, **_options: Any) -> None:
        self.buf_frame: queue.Queue[Request] = queue.Queue()
        self.firsttimestamp = 0
        self.stopped = threading.Event()
        self.output: Any = None
        self.failing = threading.Event()
        self.hang_in_stop = False
        self.thread = threading.Thread(target=self._poll, name="fake-encoder", daemon=True)
        self.made.append(self)

    def start(self) -> None:
        self.thread.start()

    def _poll(self) -> None:
        self.failing.wait()
        raise ValueError("rtsp://admin:hunter2@h/")

    def encode(self, _stream: str, request: Request) -> None:
        request.acquire()
        self.buf_frame.put(request)

    def force_key_frame(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        if self.hang_in_stop:
            threading.Event().wait()
        self.stopped.set()


class Ears(WorkerLink):
    """Keeps what a daemon would hear, in place of a socket."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.lines: list[str] = []

    def unit(self, unit: AccessUnit) -> None:
        self.units.append(unit)

    def capturing(self, what: Capturing) -> None:
        """Do nothing."""

    def log(self, level: str, event: str, **fields: object) -> None:
        assert level == "warning", fields
        self.lines.append(event)


class BoardCamera(picamera2.Picamera2Source):
    """The Pi's camera without libcamera."""

    def __init__(self) -> None:
        self.width, self.height, self.fps, self.missed = 64, 48, 30, 0
        self.pixel_format, self.colour = "yuv420p", BT709
        self.layout = picamera2.Layout(pixel_format="yuv420p", width=64, height=48, stride=64)


class BoardPicture:
    def __init__(self, number: int) -> None:
        self.number, self.captured_at_us = number, number * _US // 30
        self.request = Request()

    def mapped(self) -> Any:
        frame = av.VideoFrame(64, 48, "yuv420p")
        return FramePicture(frame=frame, number=self.number, captured_at_us=self.captured_at_us).mapped()


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a stand-in for picamera2's encoder where it is imported from."""
    FakeH264Encoder.made = []
    modules = {
        "picamera2": ModuleType("picamera2"),
        "picamera2.encoders": ModuleType("picamera2.encoders"),
        "picamera2.encoders.h264_encoder": SimpleNamespace(H264Encoder=FakeH264Encoder),
        "picamera2.outputs": SimpleNamespace(Output=object),
    }
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    monkeypatch.setattr(v4l2, "board_encoder", lambda: "bcm2835-codec")
    monkeypatch.setattr(threading, "excepthook", lambda _failure: None)
    yield
    for each in FakeH264Encoder.made:
        each.failing.set()


def worker(encoder: str = "auto") -> tuple[Encoding, Ears]:
    ears = Ears()
    job = replace(CAMERA, source="picamera2", encoder=encoder, width=64, height=48)
    return Encoding(ears, job, BoardCamera()), ears


def fail(encoder: FakeH264Encoder) -> None:
    encoder.failing.set()
    encoder.thread.join(5)


@pytest.mark.usefixtures("board")
def test_a_failure_in_picamera2s_thread_is_followed_by_software() -> None:
    encoding, ears = worker()
    [fake] = FakeH264Encoder.made
    assert ears.thread_owner(fake.thread)  # so it does not end the worker
    assert not ears.thread_owner(threading.current_thread())
    first = BoardPicture(0)
    encoding.encode(first)
    assert first.request.held == 1
    fail(fake)
    encoding.encode(BoardPicture(1))
    assert ears.lines == ["camera.encoder_replaced"]
    assert [(unit.number, unit.key) for unit in ears.units] == [(1, True)]
    assert fake.stopped.is_set()
    assert first.request.held == 0  # the camera has six buffers only
    assert not ears.thread_owner(fake.thread)


@pytest.mark.usefixtures("board")
def test_late_units_of_a_replaced_encoder_do_not_reach_the_stream() -> None:
    encoding, ears = worker()
    [fake] = FakeH264Encoder.made
    encoding.encode(BoardPicture(0))
    fail(fake)
    encoding.encode(BoardPicture(1))
    sent = len(ears.units)
    fake.output.outputframe(b"\0\0\0\1late", True, 0)  # noqa: FBT003
    assert len(ears.units) == sent


@pytest.mark.usefixtures("board")
def test_an_encoder_that_hangs_when_it_is_stopped_is_left_behind() -> None:
    encoding, ears = worker()
    [fake] = FakeH264Encoder.made
    fake.hang_in_stop = True
    fail(fake)
    encoding.encode(BoardPicture(0))
    assert [unit.number for unit in ears.units] == [0]


@pytest.mark.usefixtures("board")
def test_a_bitrate_that_the_board_refuses_is_followed_by_software(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, ears = worker()

    def refuse(_self: V4l2Encoder, _bitrate_bps: int) -> None:
        raise EncoderError("the board's encoder refuses 100000 bit/s")

    monkeypatch.setattr(V4l2Encoder, "set_bitrate", refuse)
    assert encoding.carry_out(SetBitrate(bitrate_bps=100_000)) == ""
    encoding.encode(BoardPicture(0))
    assert len(ears.units) == 1


@pytest.mark.usefixtures("board")
def test_the_boards_encoder_by_name_has_no_substitute() -> None:
    encoding, ears = worker("v4l2")
    [fake] = FakeH264Encoder.made
    assert not ears.thread_owner(fake.thread)
    fail(fake)
    with pytest.raises(EncoderError, match="the board's encoder's thread") as caught:
        encoding.encode(BoardPicture(0))
    assert "hunter2" not in str(caught.value)
