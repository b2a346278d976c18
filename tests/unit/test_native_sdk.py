"""What reaches below the SDK's public surface, with the real library."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import jwt
import pytest
from livekit import rtc
from livekit.rtc import version
from livekit.rtc._proto import ffi_pb2
from structlog.testing import capture_logs

from device import native_sdk
from device.errors import NativePanicError
from tests.support.daemon import SERVERLESS, SYNTHETIC, Daemon, running_altered

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TOKEN = jwt.encode({"sub": "porch", "video": {"room": "front-door"}}, "k" * 32)
LIMIT_S = 60


@pytest.fixture
def library() -> native_sdk.NativeLibrary:
    """Return the SDK's library. This fails if the pinned SDK is not known, and the daemon would fall back."""
    found = native_sdk.library()
    assert found is not None
    return found


def emitted(library: native_sdk.NativeLibrary, event: ffi_pb2.FfiEvent) -> None:
    """Call the library's callback as a native thread does."""
    data = event.SerializeToString()
    thread = threading.Thread(
        target=lambda: library._on_event(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0, len(data))
    )
    thread.start()
    thread.join()


def test_the_pinned_sdk_is_known(library: native_sdk.NativeLibrary) -> None:
    (pinned,) = re.findall(r"^livekit==(\S+) ", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert {pinned} == native_sdk._VERSIONS
    assert native_sdk.library() is library


def test_another_sdk_is_not_touched_and_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "__version__", "1.3.0")
    with capture_logs() as lines:
        assert native_sdk.library.__wrapped__() is None
    assert [(line["event"], line["why"]) for line in lines] == [
        ("sdk.unknown", "_UnknownSdkError: livekit 1.3.0 is not 1.2.1")
    ]


@pytest.mark.parametrize(("message", "field", "number"), (("FfiEvent", "panic", 21), ("FfiEvent", "panics", 20)))
def test_another_shape_of_the_sdk_is_not_touched(
    monkeypatch: pytest.MonkeyPatch, message: str, field: str, number: int
) -> None:
    monkeypatch.setitem(native_sdk._FIELDS, message, {field: number})
    with capture_logs() as lines:
        assert native_sdk.library.__wrapped__() is None
    assert [line["event"] for line in lines] == ["sdk.unknown"]


def test_the_congestion_window_is_looked_for_once_and_one_line_says_that_it_is_not_found(
    library: native_sdk.NativeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(native_sdk, "drop_no_pictures", looked.append)  # returns None: not found
    monkeypatch.setattr(library, "_looked_at_window", False)
    with capture_logs() as lines:
        library.lower_bitrate_when_congested()
        library.lower_bitrate_when_congested()  # of the second camera
    assert [Path(each).name for each in looked] == ["liblivekit_ffi.so"]
    assert [line["event"] for line in lines] == ["sdk.congestion_window_kept"]


def test_own_captures_are_not_answered_and_others_are(library: native_sdk.NativeLibrary) -> None:
    async def scenario() -> None:
        source = rtc.AudioSource(48_000, 1, queue_size_ms=100)
        frame = rtc.AudioFrame(bytes(960), 48_000, 1, 480)
        events = library._client.queue.subscribe()
        request = ffi_pb2.FfiRequest()
        request.capture_audio_frame.source_handle = source._ffi_handle.handle
        request.capture_audio_frame.buffer.CopyFrom(frame._proto_info())
        request.capture_audio_frame.request_async_id = native_sdk.OWN_CAPTURE
        for _ in range(3):
            library.call(request.SerializeToString())
        async with asyncio.timeout(LIMIT_S):
            await source.capture_frame(frame)  # by the SDK, which waits for its answer; requests are done in turn
        library._client.queue.unsubscribe(events)
        assert [events.get_nowait().WhichOneof("message") for _ in range(events.qsize())] == ["capture_audio_frame"]
        await source.aclose()

    asyncio.run(scenario())


def test_a_failed_capture_is_logged(library: native_sdk.NativeLibrary) -> None:
    event = ffi_pb2.FfiEvent()
    event.capture_audio_frame.async_id = native_sdk.OWN_CAPTURE
    event.capture_audio_frame.error = "InvalidState"
    with capture_logs() as lines:
        emitted(library, event)
    assert [(line["event"], line["why"]) for line in lines] == [("sdk.capture_failed", "InvalidState")]


def test_native_log_records_come_to_the_log_only_at_debug_level(
    library: native_sdk.NativeLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("livekit")
    before = logger.level
    try:
        for level, comes in ((logging.DEBUG, True), (logging.ERROR, False), (logging.DEBUG, True)):
            logger.setLevel(level)
            native_sdk.follow_log_level()
            caplog.clear()
            with pytest.raises(NativePanicError):
                library.call(b"\xff")
            give_up_at = time.monotonic() + (LIMIT_S if comes else 0.3)  # records come from another thread
            while not (found := "failed to decode request" in caplog.text) and time.monotonic() < give_up_at:
                time.sleep(0.005)
            assert found is comes
    finally:
        logger.setLevel(before)
        native_sdk.follow_log_level()


def test_few_threads_keep_their_state(library: native_sdk.NativeLibrary) -> None:
    event = ffi_pb2.FfiEvent()
    event.capture_audio_frame.async_id = native_sdk.OWN_CAPTURE
    for _ in range(10):
        emitted(library, event)
    assert library._kept_threads == native_sdk._MAX_KEPT_THREADS


def test_prepare_leaves_what_the_operator_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKIO_WORKER_THREADS", "3")
    for name in ("RUST_BACKTRACE", "RUST_LIB_BACKTRACE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    native_sdk.prepare()
    assert os.environ["TOKIO_WORKER_THREADS"] == "3"
    assert os.environ["RUST_BACKTRACE"] == "1"


# The real command. Each line on its standard input is an expression that a thread of it evaluates.
COMMAND = """
import asyncio, ctypes, sys, threading
from device import cli, native_sdk
from device.lifecycle import signals

signals.block()

def obey():
    for line in sys.stdin:
        try:
            eval(line)
        except Exception:
            pass

threading.Thread(target=obey, daemon=True).start()
sys.exit(cli.main())
"""


@contextmanager
def daemon(config: Path, **variables: str) -> Iterator[Daemon]:
    """Run the whole daemon, with an unreachable server."""
    variables = os.environ | {"RUST_BACKTRACE": "1"} | SYNTHETIC | SERVERLESS | variables
    with running_altered(COMMAND, config, variables) as running:
        running.event("worker.state", worker="camera", new="live", within_s=LIMIT_S)
        yield running


def tell(running: Daemon, expression: str) -> None:
    assert running.process.stdin
    running.process.stdin.write(f"{expression}\n")
    running.process.stdin.flush()


def test_native_errors_and_a_reported_panic_are_logged_without_secrets(tmp_path: Path) -> None:
    refused, panic = ffi_pb2.FfiRequest(), ffi_pb2.FfiEvent()
    refused.set_local_metadata.local_participant_handle = 9
    refused.set_local_metadata.metadata = TOKEN
    panic.panic.message = f"refused {TOKEN}"
    data = panic.SerializeToString()
    with daemon(tmp_path / "device.toml") as running:
        tell(running, f"native_sdk.library().call({refused.SerializeToString()!r})")
        line = running.event("sdk.log", within_s=LIMIT_S)
        assert line["level"] == "error"
        assert "failed to handle request" in line["message"]
        address = f"ctypes.cast(ctypes.c_char_p({data!r}), ctypes.c_void_p).value"
        tell(running, f"native_sdk.library()._on_event({address}, {len(data)})")
        assert running.event("sdk.panic", within_s=LIMIT_S)["message"] == "refused [redacted]"
        assert running.process.wait(LIMIT_S) == 70
        running.event("daemon.native_panic", within_s=LIMIT_S)
    text = "\n".join(running.text)
    assert "[redacted]" in line["message"]
    assert TOKEN.rpartition(".")[2] not in text


def test_the_text_of_a_real_panic_is_logged_before_the_process_aborts(tmp_path: Path) -> None:
    with daemon(tmp_path / "device.toml") as running:
        tell(running, "__import__('livekit.rtc').rtc.AudioSource(48000, 1, 15, asyncio.new_event_loop())")
        assert running.process.wait(LIMIT_S) == -6
        line = running.until(lambda line: "multiple of 10" in line.get("message", ""), within_s=LIMIT_S)
        assert (line["event"], line["level"]) == ("stderr.log", "critical")
