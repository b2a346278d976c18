"""A native library that takes no sound any more is noticed by its statistics, in virtual time."""

from __future__ import annotations

from device.tracks.intake import Intake

_BLOCKS_PER_S = 50


def _noticed_after_s(*, taken: float, given: int, seconds: int = 60) -> int | None:
    """Return after how many seconds with so much taken and given in each it is noticed that nothing is taken."""
    intake = Intake()
    for second in range(30):
        intake.sampled(second, given=second * _BLOCKS_PER_S, now=second)
    for second in range(seconds):
        intake.sampled(29 + taken * second, given=(29 * _BLOCKS_PER_S) + given * second, now=29.0 + second)
        if intake.stalled:
            return second
    return None


def test_it_is_noticed_within_ten_seconds() -> None:
    assert _noticed_after_s(taken=0, given=_BLOCKS_PER_S) in range(5, 10)


def test_no_false_alarm() -> None:
    assert _noticed_after_s(taken=1, given=_BLOCKS_PER_S, seconds=3600) is None
    assert _noticed_after_s(taken=0, given=0, seconds=3600) is None, "the source delivers nothing"
    assert _noticed_after_s(taken=0.01, given=_BLOCKS_PER_S, seconds=3600) is None, "slow is not dead"


def test_the_time_between_sessions_does_not_count() -> None:
    intake = Intake()
    for session in range(20):
        for second in range(5):
            intake.sampled(0.0, given=(20 * session + second) * _BLOCKS_PER_S, now=20.0 * session + second)
    assert not intake.stalled
