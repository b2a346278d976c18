"""With "auto", software replaces a hardware encoder that fails, which is closed completely."""

from __future__ import annotations

import errno
import queue
import threading
import time
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import av
import pytest

from device.encoders.v4l2 import V4l2Encoder
from device.errors import EncoderError
from device.ipc.messages import Capturing, SetBitrate, SetKeyFramesOnly, SetPictureLimits
from device.ipc.worker_link import WorkerLink
from device.media.colour import BT709
from device.media.picture import AccessUnit, FramePicture
from device.sources import picamera2
from device.workers import board_source
from device.workers import encoding as encoding_module
from device.workers.encoding import Encoding
from tests.unit.workers.watched import CAMERA, LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

_US = 1_000_000


class Request:
    """A camera request with a reference count."""

    def __init__(self) -> None:
        self.ref_count = 1
        self.released = threading.Event()

    @property
    def held(self) -> int:
        """The number of references other than the camera source's."""
        return self.ref_count - 1

    def acquire(self) -> None:
        self.ref_count += 1

    def release(self) -> None:
        self.ref_count -= 1
        self.released.set()


class Closable:
    """A file or a memory mapping of the device."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


class FakeH264Encoder:
    """Behaves like picamera2's encoder: a thread of its own takes the requests and yields units."""

    made: list[FakeH264Encoder]

    def __init__(self, **_options: Any) -> None:
        self.buf_frame: queue.Queue[Request] = queue.Queue()
        self.firsttimestamp = 0
        self.vd, self.buffer = Closable(), Closable()
        self.bufs = {0: (self.buffer, 1)}
        self.stopped = threading.Event()
        self.output: Any = None
        self.failing = threading.Event()
        self.hang_in_stop = False
        self.fail_in_stop = False
        self.refuse = False
        self.thread = threading.Thread(target=self._poll, name="fake-encoder", daemon=True)
        self.made.append(self)

    broken_from_the_start = False

    def start(self) -> None:
        self.thread.start()
        if self.broken_from_the_start:
            raise OSError(errno.EBUSY, "rtsp://admin:hunter2@h/")

    def _poll(self) -> None:
        self.failing.wait()
        raise ValueError("rtsp://admin:hunter2@h/")

    def encode(self, _stream: str, request: Request) -> None:
        request.acquire()
        if self.refuse:
            raise OSError(errno.ENODEV, "rtsp://admin:hunter2@h/")
        self.buf_frame.put(request)

    def force_key_frame(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        if self.hang_in_stop:
            threading.Event().wait()
        self.stopped.set()
        if self.fail_in_stop:
            raise OSError(errno.ENODEV, "rtsp://admin:hunter2@h/")


class Ears(WorkerLink):
    """Records what the daemon would receive, in place of a socket."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.lines: list[str] = []
        self.captures: list[str] = []

    def unit(self, unit: AccessUnit) -> None:
        self.units.append(unit)

    def capturing(self, what: Capturing) -> None:
        self.captures.append(what.encoder)

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
    """Install a stand-in for picamera2's encoder module."""
    FakeH264Encoder.made = []
    modules = {
        "picamera2": ModuleType("picamera2"),
        "picamera2.encoders": ModuleType("picamera2.encoders"),
        "picamera2.encoders.h264_encoder": SimpleNamespace(H264Encoder=FakeH264Encoder),
        "picamera2.outputs": SimpleNamespace(Output=object),
    }
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    monkeypatch.setattr(board_source, "board_encoder", lambda: "bcm2835-codec")
    monkeypatch.setattr(threading, "excepthook", lambda _failure: None)
    yield
    for each in FakeH264Encoder.made:
        fail(each)


def worker(encoder: str = "auto") -> tuple[Encoding, Ears]:
    ears = Ears()
    job = replace(CAMERA, source="picamera2", encoder=encoder, width=64, height=48)
    return Encoding(ears, job, BoardCamera()), ears


def fail(encoder: FakeH264Encoder) -> None:
    encoder.failing.set()
    encoder.thread.join(5)


@pytest.mark.usefixtures("board")
def test_software_replaces_the_encoder_after_a_failure_in_picamera2s_thread() -> None:
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
    assert fake.stopped.wait(LIMIT_S)
    assert first.request.released.wait(LIMIT_S)
    assert first.request.held == 0  # the camera has six buffers only
    assert ears.thread_owner(fake.thread)  # an error during its shutdown does not end the worker either


@pytest.mark.usefixtures("board")
def test_the_daemon_knows_of_the_replacement_before_software_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, ears = worker()
    load, before = encoding._software, []
    close = encoding._encoder.close

    def closed() -> None:
        assert ears.captures == ["v4l2"], "a late unit would take the time away again"
        close()

    monkeypatch.setattr(encoding._encoder, "close", closed)

    def software() -> object:
        before.extend(ears.captures)
        return load()

    monkeypatch.setattr(encoding, "_software", software)
    fail(FakeH264Encoder.made[0])
    encoding.encode(BoardPicture(0))
    assert before == ["v4l2", "x264"]


@pytest.mark.usefixtures("board")
def test_an_encoder_with_all_of_the_cameras_buffers_is_replaced_although_no_picture_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoding, ears = worker()
    camera = encoding._source
    assert isinstance(camera, BoardCamera)
    pictures = [BoardPicture(number) for number in range(3)]
    monkeypatch.setattr(encoding_module, "monotonic_us", lambda: _US)
    camera.on_wait()
    encoding.encode(pictures[0])
    encoding.encode(pictures[1])
    monkeypatch.setattr(encoding_module, "monotonic_us", lambda: 10 * _US)
    camera.on_wait()  # the camera has buffers left: it is the camera that stands still
    assert ears.lines == []
    encoding.encode(pictures[2])
    monkeypatch.setattr(encoding_module, "monotonic_us", lambda: _US)
    camera.on_wait()
    assert ears.lines == []  # not yet
    monkeypatch.setattr(encoding_module, "monotonic_us", lambda: _US + 1)
    camera.on_wait()
    assert ears.lines == ["camera.encoder_replaced"]
    assert all(each.request.released.wait(LIMIT_S) for each in pictures)
    camera.on_wait()  # x264 cannot stall
    assert ears.captures[-1] == "x264"


@pytest.mark.usefixtures("board")
def test_a_stalled_encoder_that_is_configured_by_name_is_the_reason_for_the_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoding, _ = worker("v4l2")
    camera = encoding._source
    assert isinstance(camera, BoardCamera)
    for number in range(3):
        encoding.encode(BoardPicture(number))
    monkeypatch.setattr(encoding_module, "monotonic_us", lambda: 2 * _US)
    with pytest.raises(EncoderError, match="no output for a second"):
        camera.on_wait()


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
def test_an_encoder_that_hangs_in_stop_does_not_block_the_worker() -> None:
    encoding, ears = worker()
    [fake] = FakeH264Encoder.made
    fake.hang_in_stop = True
    held = BoardPicture(0)
    encoding.encode(held)
    fail(fake)
    began = time.monotonic()
    encoding.encode(BoardPicture(1))
    assert time.monotonic() - began < 1  # software continues at once: a worker that sends nothing for 2 s is restarted
    assert [unit.number for unit in ears.units] == [1]
    assert held.request.released.wait(LIMIT_S)
    assert fake.vd.closed.wait(LIMIT_S)


@pytest.mark.usefixtures("board")
def test_an_encoder_that_fails_in_stop_releases_buffers_and_files() -> None:
    encoding, _ = worker()
    [fake] = FakeH264Encoder.made
    fake.fail_in_stop = fake.refuse = True
    refused = BoardPicture(0)
    encoding.encode(refused)
    assert refused.request.held == 0  # acquired by picamera2 before the device refused it
    for each in (fake.buffer, fake.vd):
        assert each.closed.wait(LIMIT_S)


@pytest.mark.usefixtures("board")
def test_an_encoder_that_cannot_be_started_is_closed_and_replaced_by_software(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeH264Encoder, "broken_from_the_start", True)
    encoding, ears = worker()
    [fake] = FakeH264Encoder.made
    assert ears.lines == ["camera.encoder_unusable"]
    assert ears.thread_owner(fake.thread)
    assert fake.vd.closed.wait(LIMIT_S)
    encoding.encode(BoardPicture(0))
    assert len(ears.units) == 1
    with pytest.raises(EncoderError, match="cannot be started: Device or resource busy"):
        worker("v4l2")


@pytest.mark.usefixtures("board")
def test_pictures_dropped_by_a_lower_rate_are_counted() -> None:
    encoding, _ = worker("x264")
    encoding.carry_out(SetKeyFramesOnly(enabled=False))
    encoding.encode(BoardPicture(0))
    assert encoding.carry_out(SetPictureLimits(width=64, height=48, fps=15)) == ""
    for number in range(1, 11):
        encoding.encode(BoardPicture(number))
    assert (encoding.rate_limited, encoding.over_budget, encoding.busy) == (5, 0, 0)


@pytest.mark.usefixtures("board")
def test_software_replaces_the_encoder_after_a_refused_bitrate(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, ears = worker()

    def refuse(_self: V4l2Encoder, _bitrate_bps: int) -> None:
        raise EncoderError("the board's encoder refuses 100000 bit/s")

    monkeypatch.setattr(V4l2Encoder, "set_bitrate", refuse)
    assert encoding.carry_out(SetBitrate(bitrate_bps=100_000)) == ""
    encoding.encode(BoardPicture(0))
    assert len(ears.units) == 1


@pytest.mark.usefixtures("board")
def test_an_encoder_that_is_configured_by_name_has_no_fallback() -> None:
    encoding, ears = worker("v4l2")
    [fake] = FakeH264Encoder.made
    assert not ears.thread_owner(fake.thread)
    fail(fake)
    with pytest.raises(EncoderError, match="the thread of the board's encoder") as caught:
        encoding.encode(BoardPicture(0))
    assert "hunter2" not in str(caught.value)
