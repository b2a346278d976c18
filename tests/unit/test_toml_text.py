"""What is written as TOML is read as the same again."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config.toml_text import toml_text

SCALARS = st.one_of(
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
)
KEYS = st.text(max_size=8)
VALUES = st.recursive(
    st.one_of(SCALARS, st.lists(SCALARS, max_size=4)),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_reading_gives_what_was_written(tables: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(tables)) == tables


def test_it_looks_as_people_write_it() -> None:
    tables = {"room": {"url": "wss://h", "name": 'a "b"'}, "camera": {"fps": 15, "controls": {"AeEnable": True}}}
    assert toml_text(tables) == (
        '[room]\nurl = "wss://h"\nname = "a \\"b\\""\n\n[camera]\nfps = 15\n\n[camera.controls]\nAeEnable = true\n'
    )


def test_what_toml_has_no_form_for_here_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml_text({"a": None})
