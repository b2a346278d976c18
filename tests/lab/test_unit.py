"""The shipped unit with a real systemd: it starts without anything, reports its state, stops and restarts."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from device.lifecycle.not_set_up import STATUS
from tests.lab.conftest import Record
from tests.lab.machine import processes_of
from tests.lab.meter import metering
from tests.lab.root import LabError
from tests.lab.service import CONFIG, CREDENTIALS, UNIT, Service

SMALL: dict[str, object] = {"width": 640, "height": 480}
READY_S = 10  # measured 0.8
STOP_S = 2  # the project's limit
LIVE = "room live; camera live; microphone live"
DEAD = "ws://127.0.0.1:9"
NOTHING: dict[str, Any] = {"camera": {"device": "none"}, "microphone": {"device": "none"}}


def live(service: Service) -> bool:
    return service.status() == LIVE


def until_status(service: Service, holds: Callable[[str], bool], *, timeout_s: float) -> str:
    """Return the first STATUS that `holds` accepts; the error has the last one that did not match."""
    status = ""

    def it_holds() -> bool:
        nonlocal status
        status = service.status()
        return holds(status)

    try:
        service.machine.wait_for(it_holds, timeout_s=timeout_s, what="STATUS")
    except LabError as error:
        raise LabError(f"{error}; STATUS was {status!r}") from None
    return status


def until_live(service: Service) -> None:
    until_status(service, lambda text: text == LIVE, timeout_s=40)


@pytest.mark.parametrize(
    ("what", "tables", "lines"),
    (
        ("a dead server", {"room": {"url": DEAD}}, ()),
        (
            "a dead endpoint",
            {"room": {"url": DEAD}, "credentials": {"endpoint": "http://127.0.0.1:9/token"}},
            (),
        ),
        ("no network at all", {"room": {"url": "wss://livekit.example"}}, ("PrivateNetwork=yes",)),
    ),
    ids=("server", "endpoint", "network"),
)
def test_ready_without_anything(
    service: Service, record: Record, what: str, tables: Mapping[str, Any], lines: tuple[str, ...]
) -> None:
    service.configure(**NOTHING, **tables)
    service.give_credentials()
    service.drop_in(*lines)
    with service.following() as journal:
        began = time.monotonic()
        service.machine.systemctl("start", UNIT)
        ready_s = time.monotonic() - began
        journal.event("room.waiting")
        journal.event("worker.restarting", worker="camera")
        journal.event("worker.restarting", worker="microphone")
        status = until_status(
            service,
            lambda text: "room waiting: " in text and text.count("is not connected") == 2,
            timeout_s=30,
        )
        record(
            f"READY without a device, with {what}; STATUS",
            f"{ready_s:.1f} s; {status}",
            must=f"within {READY_S} s; why it waits, in words",
            ok=ready_s < READY_S and service.machine.show(UNIT, "ActiveState") == "active",
        )


def test_status_follows(service: Service, record: Record) -> None:
    with service.running(camera=SMALL) as journal:
        until_live(service)
        service.switch_camera("stalled")
        journal.event("worker.restarting", worker="camera")
        stalled = until_status(
            service, lambda text: "camera stalled" in text or "camera starting" in text, timeout_s=20
        )
        service.switch_camera("")
        until_live(service)
        record(
            "STATUS of a stalled camera", stalled, must="camera …: why", ok="camera st" in stalled and ": " in stalled
        )


@pytest.mark.timeout(180)
def test_watchdog(service: Service, record: Record) -> None:
    service.drop_in("WatchdogSec=3")
    with service.running(camera=SMALL) as journal:
        until_live(service)
        old, workers, mark = service.main_pid(), set(processes_of(service.machine, UNIT)), journal.mark()
        began = time.monotonic()
        service.kill(old, "STOP")
        journal.until(lambda line: "Watchdog timeout" in line["text"], within_s=30, since=mark)
        journal.event("daemon.starting", within_s=30, since=mark)
        took_s = time.monotonic() - began
        until_live(service)
        left = workers & set(processes_of(service.machine, UNIT))
        record(
            "pings stop (SIGSTOP, WatchdogSec=3): killed and started again; left of the old processes",
            f"after {took_s:.1f} s; {left or 'none'}",
            must="within 30 s; none; live again",
            ok=not left and service.main_pid() != old,
        )


@pytest.mark.parametrize("signal", ("TERM", "KILL"))
def test_restarts(service: Service, record: Record, signal: str) -> None:
    """SIGTERM from another process ends the daemon with 0; systemd restarts it because of Restart=always."""
    with service.running(camera=SMALL) as journal:
        until_live(service)
        old, mark, began = service.main_pid(), journal.mark(), time.monotonic()
        service.kill(old, signal)
        journal.until(lambda line: "Scheduled restart job" in line["text"], since=mark)
        killed = [line for line in journal.lines[mark:] if "Main process exited, code=killed" in line["text"]]
        until_live(service)
        record(
            f"SIG{signal} to the daemon alone: exit; live again",
            f"{'killed' if killed else 'exit 0'}; after {time.monotonic() - began:.1f} s",
            must="exit 0 after TERM, killed after KILL; started again",
            ok=service.main_pid() not in (0, old)
            and service.machine.show(UNIT, "NRestarts") == "1"
            and bool(killed) == (signal == "KILL"),
        )


@pytest.mark.parametrize(
    ("what", "config", "words"),
    (
        (
            "a wrong value",
            '[room]\nurl = "ws://127.0.0.1:9"\nname = "x"\n[camera]\nfps = 0\n',
            "camera.fps: is too small",
        ),
        ("no credential", '[room]\nurl = "ws://127.0.0.1:9"\nname = "x"\n', "no token source is set"),
    ),
    ids=("value", "credential"),
)
def test_exit_78_stays_down(service: Service, record: Record, what: str, config: str, words: str) -> None:
    service.machine.install({CONFIG: config})
    with service.following() as journal:
        service.machine.systemctl("start", UNIT, check=False)
        journal.until(lambda line: "Failed with result 'exit-code'" in line["text"])
        line = journal.until(lambda line: words in line["text"])
        state = service.machine.show(UNIT, "SubState"), service.machine.show(UNIT, "ExecMainStatus")
        record(
            f"{what}: the unit's state, exit code, and words",
            f"{state[0]}, {state[1]}; {line['text']} (priority {line['priority']})",
            must=f"failed (no restart), 78; … {words} … at 3",
            ok=state == ("failed", "78") and line["priority"] == 3,
        )


def test_without_a_configuration_the_service_waits_for_setup(service: Service, record: Record) -> None:
    service.machine.systemctl("start", UNIT)
    state, status = service.machine.show(UNIT, "SubState"), service.machine.show(UNIT, "StatusText")
    processes = processes_of(service.machine, UNIT)
    service.machine.systemctl("stop", UNIT)
    result = service.machine.show(UNIT, "Result"), service.machine.show(UNIT, "ExecMainStatus")
    record(
        "no configuration: the unit's state and status; processes; how it ends",
        f"{state}, {status}; {len(processes)}; {', '.join(result)}",
        must="running, not set up; 1; success, 0",
        ok=(state, status, len(processes), result) == ("running", STATUS, 1, ("success", "0")),
    )


def test_a_secret_without_its_key_is_told(service: Service, record: Record) -> None:
    service.configure(**NOTHING)
    service.machine.install({f"{CREDENTIALS}/api_key": "K"}, mode=0o600)
    with service.following() as journal:
        service.machine.systemctl("start", UNIT, check=False)
        line = journal.until(lambda line: "api_key is set without its secret" in line["text"])
        record("credential api_secret missing", line["text"], must="reported, at priority 3", ok=line["priority"] == 3)


def test_encrypted_credentials(service: Service, record: Record) -> None:
    names = {"livekit_api_key": service.server.api_key, "livekit_api_secret": service.server.api_secret}
    for name, text in names.items():
        service.machine.run(
            ("systemd-creds", "encrypt", f"--name={name}", "-", f"/etc/livekit-device/{name}"), stdin=text
        )
    service.drop_in(*(f"LoadCredentialEncrypted={name}:/etc/livekit-device/{name}" for name in names))
    service.configure(camera=SMALL)
    with service.following():
        service.machine.systemctl("start", UNIT)
        until_live(service)
        record("key and secret by LoadCredentialEncrypted alone", service.status(), must="room live", ok=live(service))


@pytest.mark.parametrize("hung", (False, True))
def test_stops(service: Service, record: Record, *, hung: bool) -> None:
    async def watch() -> None:
        async with metering(service.server, service.room) as meter:
            with service.running(camera=SMALL):
                await meter.until(60, within_s=30)
                if hung:
                    service.switch_camera("hung")
                gone = asyncio.Event()
                meter.room.on("participant_disconnected", lambda _: gone.set())
                began = time.monotonic()
                await asyncio.to_thread(service.machine.systemctl, "stop", UNIT)
                took_s = time.monotonic() - began
                async with asyncio.timeout(5):
                    await gone.wait()
                result = service.machine.show(UNIT, "Result")
                record(
                    f"systemctl stop while publishing{', camera hung in stop()' if hung else ''}; viewers see it go",
                    f"{took_s:.2f} s, {result}; after {time.monotonic() - began:.2f} s",
                    must=f"within {STOP_S} s, success; at once",
                    ok=took_s < STOP_S and result == "success",
                )

    asyncio.run(watch())
