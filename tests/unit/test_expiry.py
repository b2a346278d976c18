"""When a ready token expires, and when that is logged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.tokens.expiry import CHECK_INTERVAL_S, next_check_s, notice_of

HOUR_S, DAY_S = 3600.0, 86_400.0


@pytest.mark.parametrize(
    ("left_s", "said", "urgent"),
    (
        (30 * DAY_S, "the token expires in 30 days", False),
        (DAY_S + 1, "the token expires in 24 hours", False),
        (5 * HOUR_S, "the token expires in 5 hours; replace it", True),
        (HOUR_S, "the token expires in 60 minutes; replace it", True),
        (90.0, "the token expires in 90 s; replace it", True),
        (-3 * HOUR_S, "the token expired 3 hours ago; replace it", True),
    ),
)
def test_the_remaining_time_is_readable_text(left_s: float, said: str, *, urgent: bool) -> None:
    notice = notice_of(1e9 + left_s, 1e9)
    assert notice.text.startswith(said)
    assert notice.urgent is urgent


def test_expiry_is_logged_at_once_a_day_before_an_hour_before_and_at_the_end() -> None:
    expires_at, now = 7 * DAY_S, 0.0
    announced: list[tuple[int, float]] = []
    while now < expires_at + DAY_S:
        level = notice_of(expires_at, now).level
        if not announced or announced[-1][0] != level:
            announced.append((level, now))
        now += min(CHECK_INTERVAL_S, next_check_s(expires_at, now) + 1)
    assert [level for level, _ in announced] == [0, 1, 2, 3]
    for (_, at), due in zip(announced, (0, expires_at - DAY_S, expires_at - HOUR_S, expires_at), strict=True):
        assert 0 <= at - due <= 2


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_there_is_always_a_next_check(expires_at: float, now: float) -> None:
    assert next_check_s(expires_at, now) > 0
    assert notice_of(expires_at, now).text
