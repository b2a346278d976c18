"""Real worker processes, correct and faulty: each is replaced, reports why, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from device import log as device_log
from device.errors import InternalError, RequestRefusedError, WorkerRequestError
from device.ipc.messages import Capturing, Done, Job, SetPace
from device.ipc.registry import Request
from device.ipc.worker_state import WorkerState
from device.media.block import Block
from device.media.picture import AccessUnit
from tests.support.children import living_descendants
from tests.unit.workers.rogue import WRONG_PPM
from tests.unit.workers.watched import (
    CAMERA,
    LIMIT_S,
    MICROPHONE,
    REAL,
    ROGUE,
    Watcher,
    rogue_job,
    run_worker,
    supervised,
)

if TYPE_CHECKING:
    from device.ipc.framing import Received

pytestmark = pytest.mark.usefixtures("no_orphans")


@pytest.mark.parametrize(
    ("mode", "said"),
    (
        ("nonsense", "the worker sent an invalid message"),
        ("unexpected", "the worker sent an invalid message"),
        ("half-then-exit", "it exited with 1"),
        ("half", "nothing came for"),
        ("odd-media", "the worker sent an invalid message"),
        ("list-hello", "the worker sent an invalid message"),
        ("hang", "nothing came for"),
        ("exit", "it exited with 3"),
        ("failed", "an internal error"),
        ("hungry", "memory is exhausted"),
        ("thread", "an internal error"),
        ("killed", "it was killed by SIGKILL"),
        ("stopped", "nothing came for"),
        ("deaf", "nothing came for"),
    ),
)
def test_a_failed_worker_is_replaced_and_the_reason_is_logged(mode: str, said: str) -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons and len(watcher.pids) >= 2)

    watcher = supervised(lambda: Watcher(mode), act)
    for why in watcher.reasons:
        assert why.startswith(said), why
    # Viewers get no text for each attempt: the state stays stalled until data arrives.
    states = [state for state, _ in groupby(state for state, _ in watcher.states)]
    cycle = [WorkerState.LIVE, WorkerState.STALLED]
    assert states == [cycle[index % 2] for index in range(len(states))]


def test_a_workers_text_is_for_operators_and_not_for_viewers() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons)
        await watcher.until(lambda: len(watcher.pids) >= 2)

    with capture_logs() as lines:
        watcher = supervised(lambda: Watcher("exit"), act)
    assert set(watcher.reasons) == {"it exited with 3"}
    assert next(line for line in lines if line["event"] == "worker.restarting")["why"] == "the lens fell off"


@pytest.mark.parametrize(
    ("mode", "said"),
    (
        ("nonsense", "it sent an invalid message: a message does not begin as one"),
        ("unexpected", "it sent an invalid message: message 8 is not expected here"),
        ("odd-media", "it sent an invalid message: a message claims a negative capture time"),
        ("list-hello", "it sent an invalid message: a Capturing message is not JSON object"),
        ("failed", "RuntimeError in the worker"),
        ("thread", "the thread Thread-1 failed: error"),
    ),
)
def test_operators_get_the_reason(mode: str, said: str) -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: len(watcher.pids) >= 2)

    with capture_logs() as lines:
        watcher = supervised(lambda: Watcher(mode), act)
    why = next(line for line in lines if line["event"] == "worker.restarting")["why"]
    assert why.startswith(said)
    assert watcher.failures[0] == why


@pytest.mark.parametrize(
    ("mode", "operators", "viewers"),
    (
        ("leaky", "rtsp://[redacted]@192.0.2.7/stream1?token=[redacted] cannot be opened", "the source cannot be read"),
        ("leaky-library", "OSError in the worker (its traceback is logged at debug level)", "an internal error"),
        ("leaky-stderr", "rtsp://[redacted]@192.0.2.7/stream1?token=[redacted]", "it exited with 3"),
    ),
)
@pytest.mark.usefixtures("logging_restored")
def test_no_secret_in_any_text_of_a_worker(mode: str, operators: str, viewers: str) -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons and len(watcher.pids) >= 2)

    device_log.configure(level="debug", format="json", stream=(stream := io.StringIO()))
    watcher = supervised(lambda: Watcher(mode), act)
    assert set(watcher.reasons) == {viewers}
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert operators in next(line for line in lines if line["event"] == "worker.restarting")["why"]
    assert "hunter2" not in stream.getvalue()
    assert "zq-token" not in stream.getvalue()


@pytest.mark.usefixtures("logging_restored")
def test_a_workers_invalid_message_is_not_the_daemons_error() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: len(watcher.pids) >= 2)

    device_log.configure(level="debug", format="json", stream=(stream := io.StringIO()))
    watcher = supervised(lambda: Watcher("foreign", stall_s=LIMIT_S), act)
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "zq-token" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert not [line for line in lines if line["event"] == "daemon.message_unhandled"]
    [hello] = [line for line in lines if line["event"] == "worker.capturing"][:1]
    assert hello["source"] == "x"
    [odd] = [line for line in lines if line["event"] == "a b"][:1]
    assert (odd["event_"], odd["self_"], odd["_record_"], odd["level"]) == ("x", 1, 1, "info")
    assert watcher.reasons[0] == "at rtsp://[redacted]@192.0.2.7/stream1?token=[redacted]"
    assert watcher.notices[1] == "rtsp://[redacted]@192.0.2.7/stream1?token=[redacted] [31m"
    [why] = [line["why"] for line in lines if line["event"] == "worker.restarting"][:1]
    assert why.startswith("rtsp://[redacted]@192.0.2.7/stream1?token=[redacted] xxx")
    assert len(why) == 2000


def test_occasional_errors_of_a_track_are_logged_at_a_bounded_rate() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: len(watcher.media) > 150)

    with capture_logs() as lines:
        watcher = supervised(lambda: Watcher("poison-now-and-then"), act)
    assert len(watcher.pids) == 1
    times = [line["times"] for line in lines if line["event"] == "daemon.message_unhandled"]
    assert times[:8] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert len(times) <= 9


def test_a_change_of_state_that_failed_is_tried_again() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.states)

    def failing_once() -> Watcher:
        watcher = Watcher("live")
        on_state, failures = watcher.supervisor._on_state, iter((True,))

        def once(state: WorkerState, why: str) -> None:
            if next(failures, False):
                raise ValueError("a mistake in a track")
            on_state(state, why)

        watcher.supervisor._on_state = once
        return watcher

    watcher = supervised(failing_once, act)
    assert watcher.states == [(WorkerState.LIVE, "")]


def test_a_reply_is_not_due_before_the_worker_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Request, "reply_within_s", 0.3)

    def unanswered() -> list[str]:
        return [line["request"] for line in lines if line["event"] == "worker.request_unanswered"]

    async def act(watcher: Watcher) -> None:
        while not watcher.supervisor.requests.post(SetPace(ppm=5.0)):  # until the process is there  # noqa: ASYNC110
            await asyncio.sleep(0)
        await watcher.until(lambda: watcher.media)
        assert unanswered() == []  # the worker took longer to start than the reply timeout
        await watcher.until(unanswered)

    with capture_logs() as lines:
        supervised(lambda: Watcher("slow-hello", first=False), act)
    assert unanswered() == ["SetPace"]


def test_an_error_of_a_track_drops_one_message_and_does_not_restart_the_worker() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: len(watcher.media) > 5)

    with capture_logs() as lines:
        watcher = supervised(lambda: Watcher("poison"), act)
    assert not watcher.reasons
    assert len(watcher.pids) == 1
    assert [line["times"] for line in lines if line["event"] == "daemon.message_unhandled"] == [1]


def test_a_track_that_fails_at_every_message_ends_the_daemon() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: False)

    with capture_logs() as lines, pytest.raises(InternalError):
        supervised(lambda: Watcher("nothing-but-poison"), act)
    assert [line["times"] for line in lines if line["event"] == "daemon.message_unhandled"] == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize("number", (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV))
def test_a_worker_that_is_killed_or_stopped_is_replaced(number: signal.Signals) -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.pids)
        os.kill(watcher.pids[0], number)
        await watcher.until(lambda: len(watcher.pids) == 2)

    watcher = supervised(lambda: Watcher("live"), act)
    [why] = watcher.reasons
    assert (f"killed by {number.name}" in why) or (number is signal.SIGSTOP and why.startswith("nothing came for"))


def test_a_worker_ignores_sigterm_and_sigint_and_ends_with_its_supervisor() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.pids)
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(watcher.pids[0], number)
        seen = len(watcher.media)
        await watcher.until(lambda: len(watcher.media) >= seen + 10)

    watcher = supervised(lambda: Watcher("live"), act)
    assert len(watcher.pids) == 1
    assert watcher.reasons == []


def test_a_worker_that_never_captures_is_ended_after_its_startup_timeout() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons)

    watcher = supervised(lambda: Watcher("hang", first=False, startup_s=0.8, stall_s=0.2), act)
    assert watcher.reasons[0].startswith("nothing came for 0.8 s")
    assert watcher.media == []


def test_a_missing_module_is_the_reason_in_the_log() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: len(watcher.reasons) >= 2 or any("restarting" in each["event"] for each in lines))

    with capture_logs() as lines:
        supervised(lambda: Watcher("live", module="tests.no_such_module"), act)
    why = next(line for line in lines if line["event"] == "worker.restarting")["why"]
    assert "No module named tests.no_such_module" in why


def test_a_source_that_stalls_soon_after_its_start_is_detected_in_the_usual_time() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons)

    [why] = supervised(lambda: Watcher("hang", stall_s=0.2), act).reasons
    match = re.match(r"nothing came for ([\d.]+) s", why)
    assert match, why
    assert float(match[1]) < 1


def test_unusual_log_records_of_a_worker_do_no_harm() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons)

    with capture_logs() as lines:
        supervised(lambda: Watcher("odd-log"), act)
    assert any(line["event"] == "x" and line["worker_"] == "y" and line["worker"] == "rogue" for line in lines)


def test_requests_are_answered_failures_logged_and_without_a_worker_dropped() -> None:
    async def act(watcher: Watcher) -> None:
        fine, wrong = SetPace(ppm=5.0), SetPace(ppm=WRONG_PPM)
        with pytest.raises(WorkerRequestError, match=r"cannot take a request now \(SetPace\)"):
            await watcher.supervisor.requests.request(fine)
        await watcher.until(lambda: watcher.pids)
        assert watcher.supervisor.requests.post(fine)
        assert await watcher.supervisor.requests.request(fine) == Done()
        with pytest.raises(RequestRefusedError, match=r"^cannot$"):
            await watcher.supervisor.requests.request(wrong)
        assert watcher.supervisor.requests._replies == {}

    with capture_logs() as lines:
        supervised(lambda: Watcher("live"), act)
    assert [line["request"] for line in lines if line["event"] == "worker.request_dropped"] == ["SetPace"]
    assert [(line["request"], line["error"]) for line in lines if line["event"] == "worker.request_failed"] == [
        ("SetPace", "cannot")
    ]


def test_an_unanswered_request_is_logged_by_name_and_raises() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.pids)
        watcher.supervisor.requests._pending.ready(time.monotonic())
        with pytest.raises(WorkerRequestError, match="has not answered SetPace"):
            await watcher.supervisor.requests.request(SetPace(ppm=5.0))

    with capture_logs() as lines:
        supervised(lambda: Watcher("hang", stall_s=LIMIT_S), act)
    assert [line["request"] for line in lines if line["event"] == "worker.request_unanswered"] == ["SetPace"]


def test_a_request_raises_when_its_worker_ends() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.pids)
        asking = asyncio.create_task(watcher.supervisor.requests.request(SetPace(ppm=5.0)))
        await asyncio.sleep(0)
        os.kill(watcher.pids[0], signal.SIGKILL)
        with pytest.raises(WorkerRequestError, match="the rogue worker has ended"):
            await asking

    supervised(lambda: Watcher("hang", stall_s=LIMIT_S), act)


def test_a_worker_that_does_not_read_gets_a_bounded_amount_of_data() -> None:
    async def main() -> None:
        heard = asyncio.Event()
        async with (
            asyncio.timeout(LIMIT_S),
            run_worker(ROGUE, rogue_job("live"), lambda _: heard.set()) as child,
        ):
            await heard.wait()
            [pid] = living_descendants(os.getpid())
            os.kill(pid, signal.SIGSTOP)
            taken = 0
            while child.send(SetPace(ppm=5.0), request_id=1):
                taken += 1
                assert taken < 100_000
            assert taken > 10

    asyncio.run(main())


def test_a_flood_of_messages_does_not_block_the_loop() -> None:
    async def act(watcher: Watcher) -> None:
        turns = 0
        while len(watcher.media) < 200:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 20

    watcher = supervised(lambda: Watcher("flood"), act)
    assert watcher.reasons == []


def test_a_start_can_be_cancelled_at_any_time() -> None:
    """If it is cancelled at any time, no process, no socket and no transport is left."""
    ended = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-m", "tests.unit.workers.leaver"],
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * LIMIT_S,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_worker_that_ignores_its_socket_ends_within_a_second() -> None:
    async def main() -> float:
        heard = asyncio.Event()
        async with run_worker(ROGUE, rogue_job("deaf"), lambda _: heard.set()):
            async with asyncio.timeout(LIMIT_S):
                await heard.wait()
            begin = time.monotonic()
        return time.monotonic() - begin

    assert asyncio.run(main()) < 5  # 0.4 s to end after the socket is closed, then SIGKILL; measured 0.41


@pytest.mark.parametrize("module", REAL)
def test_the_real_workers_deliver(module: str) -> None:
    async def main() -> list[Any]:
        messages: list[Any] = []
        enough = asyncio.Event()

        def on_message(received: Received) -> None:
            messages.append(received.message)
            if len(messages) >= 15:
                enough.set()

        async with run_worker(module, REAL[module], on_message) as child:
            async with asyncio.timeout(LIMIT_S):
                await enough.wait()
            assert not child.gone.done()
        return messages

    hello, *media = asyncio.run(main())
    assert isinstance(hello, Capturing)
    kind = AccessUnit if module.endswith("camera") else Block
    assert {type(message) for message in media} == {kind}
    times = [message.captured_at_us for message in media]
    assert times == sorted(set(times))
    if kind is AccessUnit:
        assert {(message.width, message.height) for message in media} == {(320, 240)}
        # Until a request changes it, every unit is a key frame.
        assert {message.key for message in media} == {True}
    else:
        assert {len(message.samples) for message in media} == {960 * 2}


@pytest.mark.parametrize(
    ("module", "job", "said"),
    (
        (
            "device.workers.camera",
            replace(CAMERA, source="file", path="/none.mp4"),
            "/none.mp4: cannot be op",
        ),
        ("device.workers.camera", replace(CAMERA, encoder="v4l2"), "encoder"),
        ("device.workers.camera", replace(CAMERA, source="picture"), "there is no camera source 'picture'"),
        ("device.workers.camera", MICROPHONE, "a camera worker needs a camera's job"),
        ("device.workers.microphone", CAMERA, "a microphone worker needs a microphone's job"),
        ("device.workers.microphone", replace(MICROPHONE, source="flute"), "there is no microphone source"),
        ("device.workers.microphone", replace(MICROPHONE, source="file", path="/x"), "/x: cannot be opened"),
    ),
)
def test_a_real_worker_that_fails_reports_why(module: str, job: Job, said: str) -> None:
    async def main() -> str:
        async with run_worker(module, job, lambda _: None) as child:
            async with asyncio.timeout(LIMIT_S):
                await child.gone
        return child.gone.result()

    assert said in asyncio.run(main())
