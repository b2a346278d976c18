"""When the daemon executes itself again because of its memory, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from device.lifecycle.memory_policy import Files, MemoryPolicy, Moment
from device.lifecycle.memory_watch import MemoryWatch
from device.memory import anonymous_mb
from device.room.join_policy import Joining
from device.room.reasons import DUPLICATE_IDENTITY, reason_named
from device.tokens.join_token import IdentityHolder
from tests.unit.virtual_time import run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LATER_S = 5 * 3600.0
EACH = (Moment.AWAY, Moment.ALONE, Moment.WATCHED, Moment.BUSY)


def policy(
    configured: int | str = "auto", *, baseline_mb: float = 40, now_mb: float = 40, times: int = 0
) -> MemoryPolicy:
    made = MemoryPolicy(configured=configured, times=times)
    made.sample(baseline_mb, at_s=300)
    for _ in range(2):
        made.sample(now_mb, at_s=310)
    return made


@pytest.mark.parametrize(
    ("configured", "baseline_mb", "limit_mb"),
    (("auto", 40, 100), ("auto", 200, 300), (150, 40, 150), (0, 40, None), (50, 60, 120), (60, 60, 120)),
)
def test_the_limit(configured: int | str, baseline_mb: float, limit_mb: float | None) -> None:
    made = policy(configured, baseline_mb=baseline_mb)
    assert made.limit_mb == limit_mb
    assert made.too_low == (configured in (50, 60))


def test_there_is_no_limit_before_five_minutes() -> None:
    made = MemoryPolicy(configured=64)
    limits = []
    for at_s, mb in ((299, 500), (300, 40), (310, 90)):
        made.sample(mb, at_s=at_s)
        limits.append(made.limit_mb)
    assert limits == [None, 64, 64]
    assert made.baseline_mb == 40


@pytest.mark.parametrize(
    ("now_mb", "files", "moments"),
    (
        (100, Files.IN_EFFECT, ()),
        (101, Files.IN_EFFECT, (Moment.AWAY, Moment.ALONE)),
        (201, Files.IN_EFFECT, (Moment.AWAY, Moment.ALONE, Moment.WATCHED)),
        (200, Files.CHANGED, ()),
        (201, Files.CHANGED, (Moment.AWAY, Moment.ALONE, Moment.WATCHED)),
        (999, Files.UNUSABLE, ()),
    ),
)
def test_viewers_are_spared_up_to_twice_the_limit(now_mb: float, files: Files, moments: tuple[Moment, ...]) -> None:
    made = policy(100, now_mb=now_mb)
    assert tuple(each for each in EACH if made.due(each, at_s=LATER_S, files=files)) == moments


def test_what_a_session_leaves_for_a_moment_is_no_reason() -> None:
    made = policy(100)
    made.sample(300, at_s=320)
    assert not made.due(Moment.AWAY, at_s=LATER_S)
    made.sample(290, at_s=330)
    assert made.due(Moment.WATCHED, at_s=LATER_S)


def lives(grows_mb_per_s: float, *, configured: int | str, for_s: float) -> list[float]:
    """Return how long each execution lasted, with memory that grows from 40 MB on, and nobody in the room."""
    found, times, began, now = [], 0, 0.0, 0.0
    current = MemoryPolicy(configured=configured)
    while now < for_s:
        at_s = now - began
        current.sample(40 + grows_mb_per_s * at_s, at_s=at_s)
        if current.due(Moment.ALONE, at_s=at_s):
            found.append(at_s)
            times, began = current.times_after(at_s), now
            current = MemoryPolicy(configured=configured, times=times)
        now += 10
    return found


def test_executions_cannot_become_a_loop() -> None:
    for configured in ("auto", 50):
        found = lives(1.0, configured=configured, for_s=24 * 3600)
        assert found[:5] == [600, 1200, 2400, 3600, 3600]
        assert set(found[5:]) == {3600}


def test_slow_growth_needs_few_of_them() -> None:
    found = lives(60 / 7 / 3600, configured="auto", for_s=7 * 24 * 3600)  # 60 MB in 7 hours, and 5 minutes
    assert len(found) == 23
    assert all(7 * 3600 + 300 <= each <= 7 * 3600 + 330 for each in found)


def test_one_after_a_calm_time_is_the_first_again() -> None:
    assert MemoryPolicy(configured=50, times=7).times_after(3600) == 8
    assert MemoryPolicy(configured=50, times=7).times_after(7 * 3600) == 0


@dataclass(slots=True)
class Device:
    """A device in virtual time: its memory at each time, and what viewers would notice."""

    mb: Callable[[float], float]
    moment: Moment = Moment.WATCHED
    files: Files = Files.IN_EFFECT
    reads: int = 0
    compared: list[float] = field(default_factory=list)

    async def run(
        self, limit: int | str, script: Callable[[MemoryWatch, Device], object], *, for_s: float
    ) -> float | None:
        """Return when it is to execute again; None if it is not. `script` is called each second."""
        loop = asyncio.get_running_loop()
        began = loop.time()

        def read() -> float:
            self.reads += 1
            return self.mb(loop.time() - began)

        async def compare() -> Files:
            self.compared.append(loop.time() - began)
            await asyncio.sleep(0.3)
            return self.files

        async with asyncio.TaskGroup() as tasks:
            watch = MemoryWatch(tasks, moment=lambda: self.moment, files=compare, read_mb=read)
            watch.use(limit)
            while loop.time() - began < for_s and not watch.wanted.is_set():
                script(watch, self)
                await asyncio.sleep(1)
            watch.stop()
        return round(loop.time() - began) if watch.wanted.is_set() else None


def nothing(_watch: MemoryWatch, _device: Device) -> None: ...


def test_without_a_limit_nothing_is_read() -> None:
    device = Device(mb=lambda _: 900)
    assert run_virtually(lambda: device.run(0, nothing, for_s=LATER_S)) is None
    assert device.reads == 0


def test_the_limit_can_be_set_and_removed_while_it_runs() -> None:
    device = Device(mb=lambda _: 90)

    def script(watch: MemoryWatch, one: Device) -> None:
        watch.use(300 if one.reads < 100 else 0)

    assert run_virtually(lambda: device.run("auto", script, for_s=LATER_S)) is None
    assert device.reads == 100


def test_with_viewers_it_waits_for_twice_the_limit() -> None:
    device = Device(mb=lambda s: 40 + s / 100)  # the limit is 103 MB, twice that is reached after 16 600 s
    with capture_logs() as logs:
        at_s = run_virtually(lambda: device.run("auto", nothing, for_s=LATER_S))
    assert at_s is not None
    assert 16_600 <= at_s <= 16_630
    assert logs == [
        {
            "event": "memory.executing_again",
            "log_level": "warning",
            "memory_mb": 206,
            "limit_mb": 103,
            "moment": "others in the room",
            "after_s": pytest.approx(16_620, abs=20),
        }
    ]


def test_it_goes_as_soon_as_nobody_else_is_in_the_room() -> None:
    device = Device(mb=lambda s: 40 + s / 100)

    def script(_watch: MemoryWatch, one: Device) -> None:
        one.moment = Moment.ALONE if one.reads > 900 else Moment.WATCHED

    at_s = run_virtually(lambda: device.run("auto", script, for_s=LATER_S))
    assert at_s is not None
    assert 9000 <= at_s <= 9012


def test_between_sessions_the_connection_waits_for_the_end_and_is_not_resumed() -> None:
    async def scenario() -> tuple[bool, bool]:
        mb = 40.0

        async def compare() -> Files:
            return Files.IN_EFFECT

        async with asyncio.TaskGroup() as tasks:
            watch = MemoryWatch(tasks, moment=lambda: moment, files=compare, read_mb=lambda: mb)
            moment = Moment.WATCHED
            watch.use(100)
            await asyncio.sleep(700)
            await watch.between_sessions()  # below the limit it does not wait
            mb = 150.0
            await asyncio.sleep(30)
            wanted_before = watch.wanted.is_set()
            moment = Moment.AWAY
            connecting = asyncio.create_task(watch.between_sessions())
            done, _ = await asyncio.wait({connecting}, timeout=5)
            connecting.cancel()
            watch.stop()
            return wanted_before, watch.wanted.is_set() and not done

    assert run_virtually(scenario) == (False, True)


@pytest.mark.parametrize("files", (Files.UNUSABLE, Files.CHANGED))
def test_files_that_are_not_in_effect_are_looked_at_twice_an_hour(files: Files) -> None:
    device = Device(mb=lambda _: 150 if device.reads > 40 else 90, moment=Moment.ALONE, files=files)
    with capture_logs() as logs:
        assert run_virtually(lambda: device.run(100, nothing, for_s=2 * 3600)) is None
    assert len(device.compared) == 4
    assert {each["event"] for each in logs} == {"memory.too_high"}
    assert "files are " + files.value in logs[0]["why"]


def test_a_limit_that_is_too_low_is_logged_once_and_not_used() -> None:
    device = Device(mb=lambda _: 90, moment=Moment.ALONE)
    with capture_logs() as logs:
        assert run_virtually(lambda: device.run(50, nothing, for_s=LATER_S)) is None
    assert [(each["event"], each["needed_mb"], each["limit_mb"]) for each in logs] == [
        ("memory.limit_too_low", 90, 150)
    ]


def test_a_hold_is_no_opportunity_and_an_outage_is_one() -> None:
    """A process that begins would not know of the hold, and join at once."""

    def joining() -> Joining:
        return Joining(probe_s=2, spread_s=1, max_s=30, uniform=lambda low, _high: low)

    assert joining().about_to_join(0)
    outage = joining()
    outage.next(0)
    outage.probed(answered=False, now=0)
    assert outage.about_to_join(0.5)
    outage.route(up=False, now=1)
    assert outage.about_to_join(1)

    removed = joining()
    for now in (0, 0):
        removed.next(now)
        removed.probed(answered=True, now=now)
    assert not removed.about_to_join(0)  # in the room
    removed.ended(reason_named("PARTICIPANT_REMOVED"), published_for_s=60, clean=True, now=60)
    assert not removed.about_to_join(61)
    assert removed.about_to_join(361)

    contested = joining()
    contested.ended(DUPLICATE_IDENTITY, published_for_s=60, clean=True, now=60)
    assert not contested.about_to_join(100)
    contested.identity_checked(IdentityHolder.ABSENT, 100)
    assert contested.about_to_join(100)


def test_anonymous_memory_counts_what_is_swapped_out(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nVmRSS:\t90112 kB\nRssAnon:\t  51200 kB\nRssFile:\t38912 kB\nVmSwap:\t1024 kB\n")
    assert anonymous_mb(status) == 51
    assert 5 < anonymous_mb() < 2000
