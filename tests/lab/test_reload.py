"""Reload of the shipped unit under a real systemd: each class under a subscriber, with the gaps measured."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.lab.conftest import Record
from tests.lab.machine import processes_of
from tests.lab.rows import all_rows
from tests.lab.service import COMMAND, CONFIG, CREDENTIALS, MICROPHONE, UNIT, Journal, Service
from tests.lab.test_unit import SMALL, until_live
from tests.support.livekit_server import livekit_server as running_server
from tests.support.watcher import Watcher, watching

# The project's limits. The starts of workers, this viewer and whatever else runs share the machine's processors: what a
# reload itself causes is the least of a few attempts.
ATTEMPTS = 4
VIDEO_GAP_S, OTHER_GAP_S = 2.0, 0.2
REJOIN_GAP_S = 5.0
LOUD, BLOCK_S = 0.1, 0.01
RELOADS = int(os.environ.get("LAB_RELOADS", "50"))
GROWTH_KB = 8_000  # the allocator's own movement in the first dozens


Row = tuple[float, float, int]


class Gaps:
    """The longest times without a new picture and without sound since its creation."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        watcher.pictures.clear()
        watcher.sound.clear()

    async def measured(self) -> tuple[float, float]:
        await self._watcher.until_received(within_s=30)
        video_s = max(later.at - earlier.at for earlier, later in pairwise(self._watcher.pictures))
        return video_s, silence_s(self._watcher)


def silence_s(watcher: Watcher) -> float:
    """Return the longest silence: while nothing arrives, a receiver plays silence after a moment."""
    peaks = [(each.at, int(np.abs(each.samples.astype(np.int32)).max())) for each in watcher.sound]
    usual = float(np.median([peak for _, peak in peaks]))
    longest_s, since = 0.0, None
    for at, peak in peaks:
        since = None if peak > usual * LOUD else at if since is None else since
        longest_s = max(longest_s, 0.0 if since is None else at - since + BLOCK_S)
    return longest_s


def subscriptions(watcher: Watcher) -> int:
    return sum(event.startswith("track:") for event, _ in watcher.events)


def said(service: Service, *arguments: str, code: int = 0) -> str:
    """Run `livekit-device reload` in the machine; return its output."""
    done = service.machine.run((COMMAND, "reload", *arguments), check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def until_in_room(service: Service) -> None:
    """Wait until all is live; STATUS also has what became of the last reload."""
    live = "room live; camera live; microphone live"
    service.machine.wait_for(lambda: service.status().startswith(live), timeout_s=40, what=live)


async def reload(service: Service) -> None:
    await asyncio.to_thread(service.machine.systemctl, "reload", UNIT)


Tables = dict[str, dict[str, Any]]


def live(tables: Tables, number: int) -> None:
    tables["camera"] |= {"bitrate_max_bps": 400_000 - 10_000 * number, "controls": {"FaceDetectMode": 0}}
    tables["microphone"]["gain_db"] = -number
    tables["watch"] = {"camera_stall_s": 3 + number, "delivery_stall_s": 5 + number}
    tables["reconnect"] = {"probe_s": 1 + number}


def frame_rate(tables: Tables, number: int) -> None:
    tables["camera"]["fps"] = 20 + number


def microphone(tables: Tables, number: int) -> None:
    tables["microphone"]["device"] = "labmic"[: 5 - number]


def display_name(tables: Tables, number: int) -> None:
    tables["room"] = {"display_name": f"Porch {number}"}


@pytest.mark.timeout(280)
def test_each_class_under_a_subscriber(service: Service, record: Record) -> None:
    tables: Tables = {"camera": {**SMALL}, "microphone": {**MICROPHONE}}

    async def reloaded(watcher: Watcher, journal: Journal, change: Callable[[Tables, int], None], number: int) -> Row:
        change(tables, number)
        await watcher.until_received(within_s=30)
        gaps, tracks, mark = Gaps(watcher), subscriptions(watcher), journal.mark()
        service.configure(**tables)
        await reload(service)
        await journal.soon("config.reloaded", since=mark)
        await asyncio.sleep(2.5)
        return (*await gaps.measured(), subscriptions(watcher) - tracks)

    async def watch() -> None:
        async with watching(service.server, service.room) as watcher:
            with service.running(**tables) as journal:
                await watcher.until_received(within_s=60)
                pid = service.main_pid()
                with all_rows(record) as rows:
                    for what, change, video_most_s, sound_most_s, again in (
                        ("live: bitrate, controls, gain, limits", live, OTHER_GAP_S, OTHER_GAP_S, 0),
                        ("worker restart: camera.fps", frame_rate, VIDEO_GAP_S, OTHER_GAP_S, 0),
                        ("worker restart: microphone.device", microphone, OTHER_GAP_S, VIDEO_GAP_S, 0),
                        ("rejoin: room.display_name", display_name, REJOIN_GAP_S, REJOIN_GAP_S, 2),
                    ):
                        tried = [await reloaded(watcher, journal, change, number) for number in range(ATTEMPTS)]
                        video_s, sound_s = (min(each[part] for each in tried) for part in (0, 1))
                        new = {each[2] for each in tried}
                        rows.note(
                            f"reload, {what}: longest gap of video, of sound; new subscriptions",
                            f"{video_s:.2f} s, {sound_s:.2f} s; {new}",
                            must=f"at most {video_most_s:g} s, {sound_most_s:g} s; {again}",
                            ok=video_s <= video_most_s and sound_s <= sound_most_s and new == {again},
                        )
                    why = watcher.attributes("device").get("device.room", "")
                    rows.note("a rejoin says why to viewers", why, must="the key", ok="room.display_name" in why)
                    same = service.main_pid() == pid
                    rows.note("the process", str(same), must="the same", ok=same)

    asyncio.run(watch())


def test_an_invalid_file_changes_nothing(service: Service, record: Record) -> None:
    with service.running(camera=SMALL) as journal:
        until_live(service)
        workers, mark = set(processes_of(service.machine, UNIT)), journal.mark()
        service.configure(camera={**SMALL, "fps": 0}, microphone={**MICROPHONE, "channels": 9})
        output = said(service, code=78)
        asked = journal.of("config.refused", since=mark)
        service.machine.systemctl("reload", UNIT)
        journal.event("config.refused", since=mark, problem="microphone.channels")
        record(
            "an invalid file: the command's words; STATUS after systemctl reload; processes",
            f"{output.strip()}; {service.status()}; {workers == set(processes_of(service.machine, UNIT))}",
            must="both problems, and nothing is asked; refused, with the first problem; the same",
            ok="camera.fps" in output
            and "microphone.channels" in output
            and not asked
            and "configuration refused at" in service.status()
            and workers == set(processes_of(service.machine, UNIT)),
        )


def test_two_reloads_at_once_and_the_last_files_win(service: Service, record: Record) -> None:
    with service.running(camera=SMALL) as journal:
        until_live(service)
        mark, pid = journal.mark(), service.main_pid()
        service.configure(camera={**SMALL, "fps": 10})
        service.kill(pid, "HUP")
        service.configure(camera={**SMALL, "fps": 20})
        service.kill(pid, "HUP")
        service.machine.systemctl("reload", UNIT)
        journal.event("worker.capturing", worker="camera", fps=20, since=mark)
        state = service.machine.show(UNIT, "ActiveState"), service.main_pid() == pid
        record(
            "SIGHUP, SIGHUP and systemctl reload at once",
            f"{state}",
            must="20 fps, active",
            ok=state == ("active", True),
        )


@pytest.mark.timeout(180)
def test_reloads_at_bad_moments(service: Service, record: Record) -> None:
    with service.running(camera=SMALL) as journal, all_rows(record) as rows:
        until_live(service)
        mark = journal.mark()
        service.kill(service.worker("camera"), "KILL")
        service.configure(camera={**SMALL, "fps": 20})
        service.machine.systemctl("reload", UNIT)
        journal.event("worker.capturing", worker="camera", fps=20, since=mark)
        service.machine.wait_for(
            lambda: service.status().startswith("room live; camera live"), timeout_s=40, what="live"
        )
        rows.note("reload during a worker's restart", service.status(), must="live, 20 fps", ok=True)

        mark = journal.mark()
        service.configure(camera={**SMALL, "fps": 20}, room={"url": "ws://127.0.0.1:9"})
        service.machine.systemctl("reload", UNIT)
        journal.event("room.waiting", since=mark)
        mark = journal.mark()
        service.configure(camera={**SMALL, "fps": 20})
        service.machine.systemctl("reload", UNIT)
        journal.event("room.state", new="live", since=mark, within_s=30)
        rows.note("reload while the room is not reached", service.status(), must="live again", ok=True)


@pytest.mark.timeout(300)
def test_many_reloads_in_one_life(service: Service, record: Record) -> None:
    with service.running(camera=SMALL) as journal:
        until_live(service)
        pid = service.main_pid()
        seen: list[tuple[int, int, int]] = []
        for number in range(RELOADS):
            bitrate, gain, fps = 400_000 + number, -(number % 20), 20 + number // 10 % 2
            camera: dict[str, Any] = {**SMALL, "fps": fps, "bitrate_max_bps": 900_000 - bitrate // 10}
            service.configure(camera=camera, microphone={**MICROPHONE, "gain_db": gain}, log={"level": "info"})
            service.machine.systemctl("reload", UNIT)
            if number in (RELOADS // 3, RELOADS - 1):
                until_in_room(service)
                seen.append(_used(service, pid))
        (descriptors, threads, memory_kb), (after, threads_after, memory_after_kb) = seen
        record(
            f"{RELOADS} reloads in one life, from the first third on: descriptors, threads, memory",
            f"{descriptors} → {after}, {threads} → {threads_after}, {memory_kb} → {memory_after_kb} kB",
            must=f"no growth; at most {GROWTH_KB} kB",
            ok=after <= descriptors + 2
            and threads_after <= threads + 1
            and memory_after_kb - memory_kb < GROWTH_KB
            and service.main_pid() == pid
            and not journal.of("daemon.unhandled"),
        )


def _used(service: Service, pid: int) -> tuple[int, int, int]:
    """Return the daemon's open descriptors, its threads, and its memory."""
    descriptors = service.machine.run(("sh", "-c", f"ls /proc/{pid}/fd | wc -l")).stdout
    lines = service.machine.run(("cat", f"/proc/{pid}/status")).stdout.splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(descriptors), int(status["Threads"]), int(status["VmRSS"].split()[0])


@pytest.mark.timeout(240)
def test_a_guarded_reload_is_reverted(service: Service, record: Record) -> None:
    with service.running(camera=SMALL) as journal, all_rows(record) as rows:
        until_live(service)
        mark = journal.mark()
        service.configure(camera={**SMALL, "device": "no such camera"})
        output = said(service, "--revert-after", "10", code=1)
        journal.event("config.reverted", since=mark)
        until_in_room(service)
        rows.note(
            "a camera that is not there, --revert-after 10: the command's words; STATUS",
            f"{output.strip()}; {service.status()}",
            must="reverted; live, and the files are not what is in effect",
            ok="reverted: " in output and "the files are not what is in effect" in service.status(),
        )
        assert "no such camera" in service.machine.run(("cat", CONFIG)).stdout

        service.configure(camera=SMALL)
        rows.note("the next reload obeys the files", said(service), must="in effect", ok=True)
        service.configure(camera={**SMALL, "fps": 20})
        kept = said(service, "--revert-after", "30")
        rows.note("a change that works, --revert-after 30", kept.strip(), must="kept", ok="kept: " in kept)


@pytest.mark.timeout(120)
def test_a_server_that_is_gone_is_no_reason_to_revert(service: Service, record: Record) -> None:
    with running_server(prefer=(0, 0)) as server:
        gone = Service(service.machine, server)
        with gone.running(camera=SMALL) as journal:
            until_live(gone)
            mark = journal.mark()
            gone.configure(camera={**SMALL, "fps": 20}, room={"display_name": "Porch"})
            server.kill()
            command = service.machine.command((COMMAND, "reload", "--revert-after", "10"))
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asking:
                journal.event("config.reloaded", since=mark, within_s=40)
                asking.kill()  # as with an ssh connection that ends
            journal.event("config.not_reverted", since=mark, within_s=40)
            record(
                "the server goes away with the reload, --revert-after 10: STATUS; reverted",
                f"{gone.status()}; {len(journal.of('config.reverted'))} times",
                must="applied; never",
                ok="configuration applied" in gone.status() and not journal.of("config.reverted"),
            )


def test_a_changed_credential_restarts_the_service(service: Service, record: Record) -> None:
    with service.running(camera=SMALL):
        until_live(service)
        pid = service.main_pid()
        unchanged = said(service)
        same = service.main_pid() == pid
        service.machine.install({f"{CREDENTIALS}/endpoint_headers": "X-Unused: 1\n"}, mode=0o600)
        output = said(service)
        record(
            "reload with the same credentials, and with another file there",
            f"{unchanged.strip()}; {output.strip()}",
            must="unchanged, the same process; restarted",
            ok=same and "unchanged: " in unchanged and "restart" in output and service.main_pid() not in (0, pid),
        )
        until_live(service)
