"""A link that loses many packets, by the counts that the SDK has each second; in virtual time."""

from __future__ import annotations

import csv
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device.tracks.encoder_control import EncoderControl
from device.tracks.ladder import Ladder, rungs
from device.tracks.lossy_link import KEY_FRAMES_APART_S, LEAST_BPS, MOST_BPS, LossyLink

if TYPE_CHECKING:
    from collections.abc import Iterable

FLOOR, CEILING = 60_000, 2_500_000
# Packets sent and sent again, by the second, as recorded at random losses of 20 and 5 % (320x180 at 15 fps).
AT_20 = ((38, 7), (41, 11), (42, 12), (55, 12), (48, 14), (49, 12), (46, 10), (35, 4), (34, 3), (38, 7))
AT_5 = ((32, 2), (31, 1), (33, 3), (30, 0), (32, 2), (31, 1), (35, 4), (31, 1), (30, 0), (32, 2))
NONE = ((30, 0),) * 10
# A policer's losses are over when the SDK's estimate has fallen.
POLICED = ((90, 0), (140, 40), (60, 30), (30, 2), (20, 0), (20, 0), (25, 0), (30, 0), (30, 0), (30, 0))


# Recorded counts (data/README.md): the bounds were tuned with the first of each kind.
RECORDED = Path(__file__).parent / "data" / "packets"
BEGAN_S = 8.0  # random losses, at the latest after 20 s


def counts(*parts: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Return the totals after each second."""
    seconds = [each for part in parts for each in part]
    return accumulate(seconds, lambda total, each: (total[0] + each[0], total[1] + each[1]))


def lossy_seconds(*parts: Iterable[tuple[int, int]]) -> list[int]:
    link, found = LossyLink(), []
    for second, (sent, resent) in enumerate(counts(*parts)):
        link.sampled(sent=sent, resent=resent, now=second)
        if link.lossy(second):
            found.append(second)
    return found


def test_a_fifth_of_the_packets_lost_is_noticed_within_six_seconds_and_for_as_long_as_it_lasts() -> None:
    found = lossy_seconds(NONE, AT_20, AT_20, NONE, NONE, NONE)
    assert 12 <= found[0] <= 16
    assert set(range(16, 30)) <= set(found)
    assert 30 <= found[-1] <= 30 + 3  # clean counts


@pytest.mark.parametrize("losses", (AT_5, NONE, POLICED))
def test_few_or_short_losses_are_nothing(losses: tuple[tuple[int, int], ...]) -> None:
    assert not lossy_seconds(NONE, losses, losses)


def recorded(name: str) -> list[tuple[float, bool]]:
    """Return the seconds of a recording, and whether the link was lossy."""
    link, found = LossyLink(), []
    with (RECORDED / f"{name}.csv").open() as file:
        for row in csv.DictReader(file):
            now = float(row["seconds"])
            link.sampled(sent=int(row["sent"]), resent=int(row["resent"]), now=now)
            found.append((now, link.lossy(now)))
    return found


@pytest.mark.parametrize("name", ("policed-1", "policed-2", "policed-3"))
def test_a_recorded_policer_is_no_lossy_link(name: str) -> None:
    assert not [at for at, lossy in recorded(name) if lossy]


@pytest.mark.parametrize("name", ("lossy-1", "lossy-2", "lossy-3"))
def test_recorded_losses_are_noticed(name: str) -> None:
    found = recorded(name)
    first = next(at for at, lossy in found if lossy)
    assert BEGAN_S <= first <= 20
    assert all(lossy for at, lossy in found if first <= at <= 40)


def test_a_new_session_counts_anew() -> None:
    link = LossyLink()
    link.sampled(sent=10_000, resent=9_000, now=0)
    for second, (sent, resent) in enumerate(counts(NONE), start=1):
        link.sampled(sent=sent, resent=resent, now=second)
    assert not link.lossy(10)


def test_without_packets_the_losses_are_over_some_time_later() -> None:
    link = LossyLink()
    for second, (sent, resent) in enumerate(counts(AT_20)):
        link.sampled(sent=sent, resent=resent, now=second)
    for second in range(10, 26):
        link.sampled(sent=426, resent=92, now=second)
    assert link.lossy(20)
    assert not link.lossy(25)


@pytest.mark.parametrize(
    ("target", "limit"), ((30_000, 30_000), (200_000, LEAST_BPS), (400_000, 60_000), (2_500_000, MOST_BPS))
)
def test_the_limit_is_a_small_part_of_the_estimate(target: int, limit: int) -> None:
    assert LossyLink().limit(target) == limit


def test_the_bitrate_is_low_and_key_frames_come_unasked_while_the_link_is_lossy() -> None:
    control = EncoderControl(
        floor_bps=FLOOR,
        ceiling_bps=CEILING,
        ladder=Ladder(rungs=rungs(width=1280, height=720, fps=30, floor_bps=FLOOR, ceiling_bps=CEILING)),
    )
    keys: list[float] = []
    totals = list(counts(NONE, AT_20, AT_20, *5 * [NONE]))
    bitrates: list[int] = []
    repetitions: list[int] = []
    for tick in range(len(totals) * 30):
        now = tick / 30
        if tick % 30 == 0:
            sent, resent = totals[tick // 30]
            control.link.sampled(sent=sent, resent=resent, now=now)
        commands = control.feedback(key_frame_requested=False, target_bps=1_500_000, now=now)
        if commands.key_frame:
            keys.append(now)
        repetitions.append(commands.repetitions)
        bitrates.append(control.bitrate_bps or 0)
    assert set(bitrates[17 * 30 : 30 * 30]) == {MOST_BPS}
    assert set(repetitions[20 * 30 : 30 * 30]) == {3}  # 15 pictures a second, each four times
    assert repetitions[-1] == 0
    assert bitrates[-1] > 1_000_000
    apart = [later - sooner for sooner, later in pairwise(keys) if 17 < sooner < 28]
    assert apart
    assert max(apart) <= KEY_FRAMES_APART_S + 0.1
