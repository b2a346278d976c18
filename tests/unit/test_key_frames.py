"""When the next key frame of a source is worth waiting for."""

from __future__ import annotations

from device.workers.key_frames import LATE_VIEWER_US, KeyFrames

_S = 1_000_000


def every_two_seconds() -> KeyFrames:
    keys = KeyFrames(ask=lambda: False)
    keys.came(0)
    keys.came(2 * _S)
    return keys


def test_one_that_is_due_soon_is_awaited() -> None:
    keys = every_two_seconds()
    assert not keys.worth_awaiting(2_900_000)
    assert keys.worth_awaiting(3_000_000)
    assert keys.worth_awaiting(4_100_000)  # it is a little late
    assert not keys.worth_awaiting(4_200_000)  # it does not come as the ones before


def test_a_late_viewer_waits_for_less_because_the_join_took_a_part_of_its_second() -> None:
    keys = every_two_seconds()
    assert not keys.worth_awaiting(3_300_000, within_us=LATE_VIEWER_US)
    assert keys.worth_awaiting(3_400_000, within_us=LATE_VIEWER_US)


def test_a_source_is_asked_once_and_given_a_moment() -> None:
    asked = []

    def ask() -> bool:
        asked.append(1)
        return True

    keys = KeyFrames(ask=ask)
    keys.came(0)
    assert keys.worth_awaiting(100_000)
    assert keys.worth_awaiting(300_000)
    assert not keys.worth_awaiting(500_000)  # without an answer, and the next one is due in 1.5 s
    assert len(asked) == 1
    keys.came(600_000)
    assert keys.worth_awaiting(700_000)
    assert len(asked) == 2


def test_a_key_frame_stands_for_the_picture_for_a_second() -> None:
    keys = KeyFrames(ask=lambda: False)
    assert not keys.fresh(0)
    keys.came(0)
    assert keys.fresh(1_000_000)
    keys.came(10 * _S)
    assert keys.fresh(11 * _S)
    assert not keys.fresh(11 * _S + 1)
