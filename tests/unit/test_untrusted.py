"""What a worker claims is bounded before it is logged."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from device.ipc.untrusted import checked_fps, safe_fields

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=50,
)


def depth_of(value: object) -> int:
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return 1 + max(map(depth_of, inner), default=0)


@given(fields=st.dictionaries(st.text(), JSON))
def test_fields_of_any_shape_stay_fields(fields: dict[str, object]) -> None:
    safe = safe_fields(fields)
    assert len(safe) <= len(fields)
    assert not {"event", "level", "worker", "exc_info"} & safe.keys()
    assert all(depth_of(value) <= 4 for value in safe.values())


def test_long_nested_and_secret_texts_are_cut_and_redacted() -> None:
    nested: list[object] = ["x" * 10_000, {"url": "rtsp://admin:hunter2@192.0.2.7/s"}, list(range(1000))]
    safe = safe_fields({"found": nested, "e" * 1000: 1, **{f"n{number}": number for number in range(1000)}})
    text = json.dumps(safe)
    assert "hunter2" not in text
    assert len(text) < 6_000
    deep: object = "bottom"
    for _ in range(100):
        deep = [deep]
    assert safe_fields({"deep": deep}) == {"deep": [[["..."]]]}


def test_a_rate_that_cannot_be_is_none() -> None:
    assert checked_fps(30) == 30
    assert checked_fps(0.001) == 0.1
    for fps in (0, -1, 1e9, float("nan"), float("inf")):
        assert checked_fps(fps) == float("inf")
