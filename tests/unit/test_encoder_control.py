"""The encoder commands that follow the room's feedback, in virtual time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.tracks.encoder_control import EncoderCommands, EncoderControl
from device.tracks.ladder import Ladder, Rung, rungs

FLOOR, CEILING = 60_000, 2_500_000


def control(*, floor: int = FLOOR, ceiling: int = CEILING) -> EncoderControl:
    ladder = Ladder(rungs=rungs(width=1280, height=720, fps=30, floor_bps=floor, ceiling_bps=ceiling))
    return EncoderControl(floor_bps=floor, ceiling_bps=ceiling, ladder=ladder)


def tell(
    policy: EncoderControl, now: float, target_bps: int | None = None, *, key_frame_requested: bool = False
) -> EncoderCommands:
    return policy.feedback(key_frame_requested=key_frame_requested, target_bps=target_bps, now=now)


def test_until_the_first_feedback_every_unit_is_a_key_frame() -> None:
    policy = control()
    assert policy.restarted() == EncoderCommands(all_key_frames=True)
    assert policy.settings() == EncoderCommands(all_key_frames=True)
    assert tell(policy, 0) == EncoderCommands()
    assert tell(policy, 1, 500_000) == EncoderCommands(key_frame=True, all_key_frames=False, bitrate_bps=500_000)
    assert tell(policy, 2, 500_000) == EncoderCommands()
    assert policy.settings() == EncoderCommands(all_key_frames=False, bitrate_bps=500_000)


def test_a_key_frame_request_counts_as_feedback() -> None:
    policy = control()
    policy.restarted()
    assert tell(policy, 0, key_frame_requested=True) == EncoderCommands(key_frame=True, all_key_frames=False)


def test_a_new_publication_resets_the_state_but_keeps_the_bitrate() -> None:
    policy = control()
    tell(policy, 0, 500_000)
    assert policy.restarted() == EncoderCommands(all_key_frames=True)
    assert policy.settings() == EncoderCommands(all_key_frames=True, bitrate_bps=500_000)


@pytest.mark.parametrize(("target", "bitrate"), ((1, FLOOR), (0, FLOOR), (400_000, 400_000), (10**9, 500_000)))
def test_the_first_target_applies_at_once_up_to_the_burst_limit(target: int, bitrate: int) -> None:
    assert tell(control(), 0, target).bitrate_bps == bitrate


def test_the_bitrate_falls_at_once_and_rises_in_steps() -> None:
    policy = control()
    tell(policy, 0, 500_000)
    assert tell(policy, 0.01, 400_000).bitrate_bps == 400_000
    assert tell(policy, 0.02, 390_000).bitrate_bps is None
    assert tell(policy, 0.03, 384_000).bitrate_bps == 384_000
    assert tell(policy, 0.40, 460_000).bitrate_bps is None
    assert tell(policy, 0.50, 400_000).bitrate_bps is None
    assert tell(policy, 0.51, 460_000).bitrate_bps == 460_000
    assert tell(policy, 0.90, 900_000).bitrate_bps is None
    assert tell(policy, 1.01, 2_000_000).bitrate_bps == 575_000
    assert tell(policy, 1.51, 2_000_000).bitrate_bps == 718_750
    assert tell(policy, 1.60, 100_000).bitrate_bps == 100_000


def test_a_target_applies_until_the_next_one() -> None:
    """The SDK reports changes only."""
    policy = control()
    tell(policy, 0, 100_000)
    assert any(tell(policy, step / 30).rung for step in range(1, 90))
    tell(policy, 3, 2_400_000)
    orders = [tell(policy, 3 + step / 30) for step in range(1, 300)]
    assert policy.bitrate_bps == 2_400_000
    assert sum(each.rung is not None for each in orders) == 1
    assert policy.settings().rung is None


def test_the_maximum_and_the_minimum_are_reached_exactly() -> None:
    policy = control()
    for step in range(20):
        tell(policy, step / 2, int(CEILING * 0.99))
    assert policy.bitrate_bps is not None
    assert 0.95 * CEILING < policy.bitrate_bps < CEILING
    assert tell(policy, 11, CEILING + 1).bitrate_bps == CEILING
    tell(policy, 12, int(FLOOR * 1.01))
    assert tell(policy, 13, 1).bitrate_bps == FLOOR


def test_a_key_frame_request_that_is_too_early_is_deferred() -> None:
    """take_feedback() returns a request once: if it is lost, a viewer sees no picture."""
    policy = control()
    tell(policy, -1, 500_000)
    assert tell(policy, 0, key_frame_requested=True).key_frame
    assert not tell(policy, 0.3, key_frame_requested=True).key_frame
    later = [tell(policy, 0.3 + step / 30).key_frame for step in range(30)]
    assert sum(later) == 1
    assert later.index(True) == 6


def test_an_existing_viewers_first_key_frame_request_is_answered_at_once() -> None:
    """The server requests a key frame when it is ready for a viewer, shortly after the first feedback."""
    policy = control()
    policy.restarted()
    assert tell(policy, 0, 500_000).key_frame
    assert tell(policy, 0.1, key_frame_requested=True).key_frame
    assert not tell(policy, 0.2, key_frame_requested=True).key_frame


def test_five_simultaneous_viewers_cause_two_key_frames() -> None:
    """Each join is a request. The first is answered at once, all others together half a second later."""
    policy = control()
    policy.restarted()
    tell(policy, 0, 500_000)
    moments = [10 + step / 30 for step in range(60)]
    asks = {10.0, 10.0 + 2 / 30, 10.0 + 4 / 30, 10.0 + 8 / 30, 10.0 + 14 / 30}
    answers = [now for now in moments if tell(policy, now, key_frame_requested=now in asks).key_frame]
    assert len(answers) == 2
    assert answers[0] == 10
    assert 0.5 <= answers[1] - answers[0] < 0.54


def test_a_request_after_a_quiet_time_is_answered_at_once() -> None:
    policy = control()
    for now in (0.0, 1.0, 1.6, 7.0):
        assert tell(policy, now, key_frame_requested=True).key_frame


def test_another_size_waits_for_its_key_frame_and_is_requested_again_of_a_new_worker() -> None:
    policy = control()
    orders = [tell(policy, step / 30, 120_000, key_frame_requested=step == 70) for step in range(120)]
    changes = [number for number, each in enumerate(orders) if each.rung is not None]
    keys = [number for number, each in enumerate(orders) if each.key_frame]
    assert keys == [0, 70, 85]
    assert changes == [85]
    rung = orders[85].rung
    assert rung is not None
    assert (rung.width, rung.height, rung.fps) == (640, 360, 15)
    assert policy.settings() == EncoderCommands(all_key_frames=False, bitrate_bps=120_000, rung=rung)


def test_a_large_bitrate_change_forces_a_key_frame_for_a_new_vbv_buffer() -> None:
    policy = control()
    tell(policy, 0, 600_000)
    keys = [step for step in range(1, 300) if tell(policy, step / 30, 600_000 if step < 60 else 1_100_000).key_frame]
    assert keys == [120]
    # A rise for a second has no effect; a fall by half has one at once.
    assert not any(
        tell(policy, step / 30, 1_700_000 if step < 330 else 1_100_000).key_frame for step in range(300, 600)
    )
    assert tell(policy, 20, 500_000).key_frame


def test_in_a_new_room_the_size_stays_until_new_targets_arrive() -> None:
    policy = control()
    for step in range(120):
        tell(policy, step / 30, 120_000)
    small = policy.settings().rung
    policy.restarted()
    for step in range(140):
        assert tell(policy, 4 + step / 30, 2_000_000).rung is None
    assert policy.settings().rung is small
    later = [tell(policy, 9 + step / 30, 2_000_000).rung for step in range(30)]
    assert policy.ladder.rungs[0] in later
    assert policy.settings().rung is None


@dataclass(frozen=True)
class Step:
    wait_s: float
    target_bps: int | None
    key: bool
    restart: bool


STEPS = st.lists(
    st.builds(
        Step,
        wait_s=st.sampled_from((0.0, 1 / 30, 0.499, 0.5, 0.501)) | st.floats(0, 3),
        target_bps=st.none() | st.integers(0, 10**8),
        key=st.booleans(),
        restart=st.sampled_from((False, False, False, True)),
    ),
    max_size=80,
)


@given(STEPS, st.integers(30_000, 10**6), st.integers(0, 10**7))
def test_any_feedback(steps: list[Step], floor: int, above: int) -> None:
    policy = control(floor=floor, ceiling=floor + above)
    now, key_frames, rises = 0.0, [], []
    bitrate: int | None = None
    for step in steps:
        now += step.wait_s
        if step.restart:
            assert policy.restarted().all_key_frames
        orders = tell(policy, now, step.target_bps, key_frame_requested=step.key)
        if orders.key_frame and orders.all_key_frames is None:  # the first key frame of a publication does not count
            key_frames.append(now)
        if orders.bitrate_bps is not None:
            assert floor <= orders.bitrate_bps <= floor + above
            assert orders.bitrate_bps != bitrate
            if bitrate is not None and orders.bitrate_bps > bitrate:
                rises.append(now)
            bitrate = orders.bitrate_bps
        assert policy.settings().bitrate_bps == bitrate
        assert orders.all_key_frames is not True
        if orders.rung is not None:
            assert orders.key_frame
            assert policy.settings().rung in (orders.rung, None)
        # Never far above what the link bears.
        if step.target_bps is not None and bitrate is not None:
            assert bitrate <= max(floor, min(step.target_bps, floor + above) / 0.97 + 1)
    for moments in (key_frames, rises):
        assert all(later - sooner >= 0.5 - 1e-9 for sooner, later in pairwise(moments))


@given(st.integers(0, 10**8), st.integers(0, 10**8))
def test_a_steady_target_is_reached(first: int, then: int) -> None:
    """From the minimum to the maximum in 9 s: a quarter more every half second."""
    policy = control()
    tell(policy, 0, first)
    for step in range(1, 300):
        tell(policy, step / 30, then)
    wanted = min(max(then, FLOOR), CEILING)
    assert policy.bitrate_bps is not None
    assert abs(policy.bitrate_bps - wanted) <= 0.05 * wanted


def test_several_cameras_share_the_first_bitrate() -> None:
    """Together they start like one camera: the SDK's first targets are far above a slow link."""
    ladder = Ladder(rungs=rungs(width=640, height=360, fps=15, floor_bps=60_000, ceiling_bps=2_000_000))
    first = [
        EncoderControl(floor_bps=60_000, ceiling_bps=2_000_000, ladder=ladder, cameras=cameras)
        .feedback(key_frame_requested=False, target_bps=1_600_000, now=0.0)
        .bitrate_bps
        for cameras in (1, 2, 5, 8)
    ]
    assert first == [500_000, 250_000, 100_000, 62_500]


def test_other_bounds_apply_at_once_and_to_all_targets_from_then_on() -> None:
    def steps(ceiling_bps: int) -> tuple[Rung, ...]:
        return rungs(width=640, height=480, fps=30, floor_bps=60_000, ceiling_bps=ceiling_bps)

    followed = EncoderControl(floor_bps=60_000, ceiling_bps=2_000_000, ladder=Ladder(rungs=steps(2_000_000)))
    assert followed.limit(floor_bps=60_000, ceiling_bps=1_500_000, steps=steps(1_500_000)).bitrate_bps is None
    for second in range(20):
        followed.feedback(key_frame_requested=False, target_bps=1_400_000, now=float(second))
    assert followed.bitrate_bps == 1_400_000
    commands = followed.limit(floor_bps=60_000, ceiling_bps=400_000, steps=steps(400_000))
    assert (commands.bitrate_bps, commands.rung, commands.all_key_frames) == (400_000, None, None)
    for second in range(20, 40):
        followed.feedback(key_frame_requested=False, target_bps=1_400_000, now=float(second))
    assert followed.bitrate_bps == 400_000
    assert followed.limit(floor_bps=600_000, ceiling_bps=900_000, steps=steps(900_000)).bitrate_bps == 600_000
