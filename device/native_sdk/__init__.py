"""The one package that reaches below the SDK's public surface, to save wake-ups, threads and copies.

`library()` adopts the SDK's native library (livekit 1.2.1, livekit-ffi 0.13.2) once, before anything is published:

- The SDK initialises it so that each native log record, about 400 a second, becomes an event and a call into Python.
  Here records are captured at debug level only; otherwise the library writes errors to standard error, which
  `native_output` reads.
- For each event ctypes creates and destroys a Python thread state. Here a native thread keeps its own.
- For each block of sound the SDK parses an event and wakes the event loop. Requests with the id `OWN_CAPTURE` need no
  answer: their event is dropped unless it reports an error.
- For each picture the SDK builds and parses two messages and a dozen objects. `video.py` keeps its messages.
  For each block of sound, likewise: `audio.py` has one request of constant bytes.
- The SDK's modules that need numpy are not imported (`loading.py`).
- Pictures are not dropped when the SDK's congestion window is full (`congestion_window.py`).
- A panic is logged instead of printed, because its text may contain a token. The process ends as with the SDK.

With another version or shape of the SDK everything goes through the public surface, and one log line says so.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog

from device.errors import NativePanicError
from device.native_sdk import loading
from device.native_sdk.congestion_window import drop_no_pictures
from device.native_sdk.restarts import RESTARTS

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

_VERSIONS = frozenset({"1.2.1"})
# An id of ours for audio captures: the SDK's own ids count from 1.
OWN_CAPTURE = 0x6C6B_6465_7669_6365
# Fields by message, as this module writes and reads them.
_FIELDS = {
    "FfiEvent": {"capture_audio_frame": 13, "logs": 18, "panic": 20},
    "CaptureAudioFrameRequest": {"source_handle": 1, "buffer": 2, "request_async_id": 3},
    "CaptureAudioFrameCallback": {"async_id": 1, "error": 2},
    "CaptureEncodedVideoFrameRequest": {"source_handle": 1, "buffer": 2, "codec": 3, "frame_type": 4, "metadata": 8},
    "CaptureEncodedVideoFrameResponse": {"accepted": 1},
    "TakeEncodedVideoSourceFeedbackRequest": {"source_handle": 1},
    "TakeEncodedVideoSourceFeedbackResponse": {"keyframe_requested": 1, "rate_control": 2},
}
# A thread state takes 20 KB and outlives its thread. The library's event threads live as long as the process.
_MAX_KEPT_THREADS = 4
_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)


def prepare() -> None:
    """Set what the native library reads from the environment. Call it before threads start, which may read that."""
    # A thread per core does nothing but wake the others: the library's load is a few events a second.
    os.environ.setdefault("TOKIO_WORKER_THREADS", "1")
    # A panic writes its text and aborts the process. To look for a backtrace takes it long enough for `native_output`
    # to log the text; errors that are no panics need none.
    os.environ.setdefault("RUST_BACKTRACE", "1")
    os.environ.setdefault("RUST_LIB_BACKTRACE", "0")


def load() -> None:
    """Import the SDK without what this device does not use. Call it before anything else imports the SDK."""
    loading.load(_VERSIONS)


@cache
def library() -> NativeLibrary | None:
    """Adopt the SDK's native library the first time. Return None if this SDK is unknown, which is logged once."""
    try:
        return NativeLibrary()
    except (ImportError, AttributeError, KeyError, _UnknownSdkError) as error:
        why = f"{type(error).__name__}: {error}"
        log.warning("sdk.unknown", why=why, hint="the SDK's public functions are used; they cost more processor time")
        return None


def follow_log_level() -> None:
    """Capture the library's log records if they are logged; call it after a change of the log level."""
    if library.cache_info().currsize and (adopted := library()) is not None:
        adopted.follow_log_level()


class _UnknownSdkError(Exception):
    """The SDK is not one that this module knows."""


class NativeLibrary:
    """The SDK's native library, with an event callback of ours. There is one for the life of the process."""

    def __init__(self) -> None:
        from livekit.rtc import _ffi_client
        from livekit.rtc._proto.ffi_pb2 import FfiEvent
        from livekit.rtc.version import __version__

        if __version__ not in _VERSIONS:
            raise _UnknownSdkError(f"livekit {__version__} is not {' or '.join(sorted(_VERSIONS))}")
        _check_fields()
        self._client = _ffi_client.FfiClient.instance
        self._sdk_callback: Callable[[Any, int], None] = _ffi_client.ffi_event_callback
        self._event_type = FfiEvent
        self._version = __version__.encode()
        native = self._client._ffi_lib  # noqa: SLF001
        # Functions of our own: the SDK's have its argument types.
        self._initialize, self._request, self._drop_handle = (
            native[f"livekit_ffi_{each}"] for each in ("initialize", "request", "drop_handle")
        )
        self._initialize.argtypes = [_Callback, ctypes.c_bool, ctypes.c_char_p, ctypes.c_char_p]
        self._initialize.restype = None
        self._request.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
        self._request.restype = ctypes.c_uint64
        self._drop_handle.argtypes, self._drop_handle.restype = [ctypes.c_uint64], ctypes.c_bool
        self._answered = _answer_of_own_capture(self._event_type)
        self._kept = threading.local()
        self._kept_threads = 0
        self._looked_at_window = False
        self._callback = _Callback(self._on_event)
        self._captures_logs: bool | None = None
        self.follow_log_level()

    def follow_log_level(self) -> None:
        """Capture log records only while they are logged."""
        captures = logging.getLogger("livekit").isEnabledFor(logging.WARNING)
        if captures is not self._captures_logs:
            self._captures_logs = captures
            # A second call replaces callback and setting (livekit-ffi: FfiServer::setup).
            self._initialize(self._callback, captures, b"python", self._version)

    def lower_bitrate_when_congested(self) -> None:
        """Let connections that are made from now on drop no encoded pictures; only the first call does anything."""
        if self._looked_at_window:
            return
        self._looked_at_window = True
        if not drop_no_pictures(getattr(self._client._ffi_lib, "_name", None) or ""):  # noqa: SLF001
            log.warning(
                "sdk.congestion_window_kept",
                why="its settings were not found, or the memory cannot be changed",
                hint="on a link that loses many packets the picture may stop for seconds",
            )

    def call(self, request: bytes) -> bytes:
        """Send a serialised FfiRequest; return the serialised FfiResponse. Raises NativePanicError if it is refused."""
        address, length = ctypes.c_void_p(), ctypes.c_size_t()
        handle = self._request(request, len(request), ctypes.byref(address), ctypes.byref(length))
        if not handle:
            raise NativePanicError("the SDK has refused a request; its reason is logged as sdk.log")
        try:
            return ctypes.string_at(address, length.value)
        finally:
            self._drop_handle(handle)

    def _on_event(self, address: int, length: int) -> None:
        """Handle an event. Runs in threads of the library, several at a time."""
        self._keep_thread_state()
        data = ctypes.string_at(address, length)
        if data == self._answered:
            return
        event = self._event_type.FromString(data)
        match event.WhichOneof("message"):
            case "logs":
                for each in event.logs.records:
                    RESTARTS.read(each.message)
                self._sdk_callback(ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8)), length)
            case "panic":
                log.critical("sdk.panic", message=event.panic.message)
                os.kill(os.getpid(), signal.SIGTERM)  # as the SDK does; lifecycle/ending.py knows the sender
            case "capture_audio_frame" if event.capture_audio_frame.async_id == OWN_CAPTURE:
                log.error("sdk.capture_failed", why=event.capture_audio_frame.error)
            case _:
                self._client.queue.put(event)

    def _keep_thread_state(self) -> None:
        """Keep the Python thread state of this thread, which would end with the callback."""
        if not hasattr(self._kept, "state") and self._kept_threads < _MAX_KEPT_THREADS:
            self._kept_threads += 1
            self._kept.state = ctypes.pythonapi.PyGILState_Ensure()


def _answer_of_own_capture(event_type: Any) -> bytes:
    """Return the event that answers a request with the id `OWN_CAPTURE`, if it reports no error."""
    event = event_type()
    event.capture_audio_frame.async_id = OWN_CAPTURE
    return bytes(event.SerializeToString())


def _check_fields() -> None:
    """Raise _UnknownSdkError unless the messages have the fields that this module uses."""
    from livekit.rtc._proto import audio_frame_pb2, ffi_pb2, video_frame_pb2

    modules = (ffi_pb2, audio_frame_pb2, video_frame_pb2)
    known = {name: each for module in modules for name, each in module.DESCRIPTOR.message_types_by_name.items()}
    for message, fields in _FIELDS.items():
        for field, number in fields.items():
            if known[message].fields_by_name[field].number != number:
                raise _UnknownSdkError(f"{message}.{field} has another number")
