"""H.264 by the board's hardware encoder, through picamera2's V4L2 encoder, without copies of raw pixels."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from device.clock import monotonic_of_boottime_us
from device.errors import EncoderError, system_text
from device.media.picture import AccessUnit, Picture, Sink

if TYPE_CHECKING:
    from device.sources.planes import Layout

DEVICE = "/dev/video11"  # bcm2835-codec's encoder; picamera2 uses the same path
# linux/videodev2.h
_QUERYCAP = 0x80685600
_CAPABILITY_BYTES = 104
_CAPABILITIES_AT, _DEVICE_CAPS_AT = 84, 88
_M2M_MPLANE, _DEVICE_CAPS = 0x00004000, 0x80000000
_FORMATS = {"yuv420p": "YUV420", "nv12": "NV12"}
# The encoder keeps one camera buffer for each; the camera has six.
_MAX_IN_FLIGHT = 3
_STALLED_US = 1_000_000
_CLOSE_S = 1.0
_SAME_PICTURE_US = 2_000  # tolerance: the two clocks are read one after the other


def board_encoder() -> str:
    """Return the driver's name for the board's H.264 encoder; empty if there is none.

    Raises EncoderError if there is one that cannot be opened.
    """
    try:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        viewers = "the encoder is in use by another program" if error.errno == errno.EBUSY else ""
        raise EncoderError(
            f"the board's encoder {DEVICE} cannot be opened: {system_text(error)}", for_viewers=viewers
        ) from error
    try:
        reply = bytearray(_CAPABILITY_BYTES)
        fcntl.ioctl(descriptor, _QUERYCAP, reply)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    capabilities = int.from_bytes(reply[_CAPABILITIES_AT : _CAPABILITIES_AT + 4], "little")
    if capabilities & _DEVICE_CAPS:
        capabilities = int.from_bytes(reply[_DEVICE_CAPS_AT : _DEVICE_CAPS_AT + 4], "little")
    if not capabilities & _M2M_MPLANE:
        return ""  # another device, such as a USB camera
    return ctypes.create_string_buffer(bytes(reply[16:48])).value.decode(errors="replace") or "v4l2"


class V4l2Encoder:
    """Units arrive on picamera2's own thread. An error on that thread is raised at the next picture."""

    name = "v4l2"

    def __init__(self, *, layout: Layout, fps: int, bitrate_bps: int, keyframe_interval_s: int, sink: Sink) -> None:
        try:
            from picamera2.encoders.h264_encoder import H264Encoder
        except ImportError as error:
            missing = error.name or "picamera2"
            raise EncoderError(
                f"the board's encoder needs a library that is missing: {missing} cannot be imported"
            ) from error

        self._sink = sink
        self._layout = layout
        self._pending: deque[tuple[int, int]] = deque()
        self._lock, self._sink_lock = threading.Lock(), threading.Lock()
        self._failure: BaseException | None = None
        self._key_wanted = False
        self._closed = False
        self.busy = 0
        encoder = H264Encoder(
            bitrate=bitrate_bps,
            repeat=True,
            iperiod=keyframe_interval_s * fps,
            framerate=fps,
            profile="constrained baseline",
        )
        encoder.width, encoder.height = layout.width, layout.height
        encoder.stride, encoder.format = layout.stride, _FORMATS[layout.pixel_format]
        encoder.output = _output(self._on_unit)
        self._encoder: Any = encoder

    def start(self) -> None:
        """Open the device and start picamera2's thread, which `owns` recognizes from now on. Raises EncoderError."""
        try:
            self._encoder.start()
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            self.close()
            raise EncoderError(f"the board's encoder {DEVICE} cannot be started: {system_text(error)}") from error

    def encode(self, picture: Picture, *, key: bool) -> None:
        request = getattr(picture, "request", None)
        if request is None:
            raise EncoderError("the board's encoder accepts the camera's own buffers only")
        self._check()
        self._key_wanted |= key
        with self._lock:
            if len(self._pending) >= _MAX_IN_FLIGHT:
                self._check_oldest(picture.captured_at_us)
                self.busy += 1
                return  # drop a frame before the camera runs out of buffers
            self._pending.append((picture.number, picture.captured_at_us))
        if self._key_wanted:
            self._key_wanted = False
            self._encoder.force_key_frame()
        references = getattr(request, "ref_count", None)
        try:
            self._encoder.encode("main", request)
        except (OSError, RuntimeError, ValueError) as error:
            # picamera2 acquires the request before the device rejects it, and does not release it.
            if references is not None and request.ref_count > references:
                request.release()
            raise EncoderError(f"the board's encoder failed: {system_text(error)}") from error

    def owns(self, thread: threading.Thread) -> bool:
        """Return whether a thread is picamera2's for this encoder; its failure is raised at the next picture."""
        return thread is getattr(self._encoder, "thread", None)

    def close(self) -> None:
        """Detach the sink at once. A thread frees the device, which may hang, within a bounded time."""
        if self._closed:
            return
        self._closed = True
        if self._sink_lock.acquire(timeout=_CLOSE_S):  # wait for a unit that is being sent
            self._sink_lock.release()
        threading.Thread(target=self._shut_down, name="encoder-close", daemon=True).start()

    def _shut_down(self) -> None:
        stopping = threading.Thread(target=self._stop, name="encoder-stop", daemon=True)
        stopping.start()
        stopping.join(_CLOSE_S)
        self._release_requests()
        self._release_device()

    def _stop(self) -> None:
        with contextlib.suppress(Exception):  # it has failed already and was reported
            self._encoder.stop()

    def _release_requests(self) -> None:
        """Release the camera requests that picamera2's thread had when it ended, or has while it hangs."""
        requests = getattr(self._encoder, "buf_frame", None)
        while requests is not None:
            try:
                request = requests.get_nowait()
            except queue.Empty:
                return
            with contextlib.suppress(Exception):  # release the others too
                request.release()

    def _release_device(self) -> None:
        """Close what stop() leaves open if it fails or hangs; otherwise the device stays busy for other programs."""
        mapped = list(getattr(self._encoder, "bufs", {}).values())
        for each in (*(buffer for buffer, _ in mapped), getattr(self._encoder, "vd", None)):
            with contextlib.suppress(OSError, ValueError, BufferError):
                if each is not None:
                    each.close()

    def set_bitrate(self, bitrate_bps: int) -> None:
        import videodev2

        control = videodev2.v4l2_control()
        control.id, control.value = videodev2.V4L2_CID_MPEG_VIDEO_BITRATE, bitrate_bps
        try:
            fcntl.ioctl(self._encoder.vd, videodev2.VIDIOC_S_CTRL, control)
        except OSError as error:
            raise EncoderError(f"the board's encoder refuses {bitrate_bps} bit/s: {system_text(error)}") from error
        self._encoder.bitrate = bitrate_bps

    def repeat(self, times: int) -> None:
        """Do nothing: a buffer of the camera is encoded once."""

    def check_stall(self, now_us: int) -> None:
        """Raise EncoderError if the encoder has kept as many pictures as it may have for too long."""
        with self._lock:
            if len(self._pending) >= _MAX_IN_FLIGHT:
                self._check_oldest(now_us)

    def _check_oldest(self, now_us: int) -> None:
        if now_us - self._pending[0][1] > _STALLED_US:
            raise EncoderError("the board's encoder has produced no output for a second")

    def _check(self) -> None:
        if self._failure is not None:
            raise EncoderError(f"the thread of the board's encoder failed: {type(self._failure).__name__}")
        if not self._encoder.thread.is_alive():
            raise EncoderError("the thread of the board's encoder has ended")

    def _on_unit(self, payload: bytes, *, key: bool, since_first_us: int) -> None:
        try:
            captured_at_us = monotonic_of_boottime_us((self._encoder.firsttimestamp + since_first_us) * 1000)
            with self._lock:
                # Skip pictures for which the encoder produced no unit.
                number, wanted_us = self._pending.popleft()
                while self._pending and captured_at_us - wanted_us > _SAME_PICTURE_US:
                    number, wanted_us = self._pending.popleft()
            with self._sink_lock:
                if self._closed:
                    return
                self._sink(
                    AccessUnit(
                        payload=bytes(payload),
                        key=key,
                        width=self._layout.width,
                        height=self._layout.height,
                        number=number,
                        captured_at_us=wanted_us,
                    )
                )
        except BaseException as error:
            self._failure = self._failure or error
            raise


def _output(on_unit: Any) -> Any:
    from picamera2.outputs import Output

    class Units(Output):  # type: ignore[misc]  # picamera2 has no types
        def outputframe(self, frame: bytes, keyframe: bool, timestamp: int, *_: Any) -> None:  # noqa: FBT001
            on_unit(frame, key=keyframe, since_first_us=timestamp)

    return Units()
