"""Single keys of a TOML text are set; the rest of it stays."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.setup.toml_edit import Value, edited, merged, written

SHIPPED = (Path(__file__).parents[2] / "config/device.toml").read_text()
URL = ("room", "url")

PLACES = (
    ("", '[room]\nurl = "wss://a"\n'),
    ("[room]\n", '[room]\nurl = "wss://a"\n'),
    ('[room]\nurl = "ws://old" # mine\nname = "x"\n', '[room]\nurl = "wss://a" # mine\nname = "x"\n'),
    ('[room]\nurl = "ws://#old"\n', '[room]\nurl = "wss://a"\n'),
    ('[room]\r\nurl = "ws://old"\r\n', '[room]\nurl = "wss://a"\n'),
    ('[room] # the room\n# url = "wss://example"\n\nname = "x"\n', None),
    ('[room]\nurl = [ # two\n  "ws://one",\n  "ws://two",\n]\nname = "x"\n', '[room]\nurl = "wss://a"\nname = "x"\n'),
    ("[camera]\nfps = 15\n", '[camera]\nfps = 15\n\n[room]\nurl = "wss://a"\n'),
    (
        "[room]\n\n# of the camera\n[camera]\nfps = 15\n",
        '[room]\nurl = "wss://a"\n\n# of the camera\n[camera]\nfps = 15\n',
    ),
)


@pytest.mark.parametrize(("before", "after"), PLACES)
def test_a_key_is_set_where_it_belongs(before: str, after: str | None) -> None:
    text = edited(before, {URL: "wss://a"})
    assert tomllib.loads(text) == merged(tomllib.loads(before), {URL: "wss://a"})
    if after is not None:
        assert text == after
    else:
        assert text.splitlines()[1:3] == ['# url = "wss://example"', 'url = "wss://a"']


@pytest.mark.parametrize(
    "before",
    (
        'room = { url = "ws://old", name = "x" }\n',
        'room.url = "ws://old"\nroom.name = "x"\n',
        '["room"]\n"url" = "ws://old"\n',
        '[log]\nlevel = """\n[room]\nurl = 1\n"""\n[room]\nurl = "ws://old"\n',
    ),
)
def test_a_form_that_hides_the_key_still_says_the_same_afterwards(before: str) -> None:
    assert tomllib.loads(edited(before, {URL: "wss://a"})) == merged(tomllib.loads(before), {URL: "wss://a"})


def test_the_shipped_example_keeps_every_comment() -> None:
    changes: dict[tuple[str, str], Value] = {
        URL: "wss://a",
        ("room", "name"): 'a "quoted" \\ name',
        ("camera", "source"): "pattern",
        ("credentials", "endpoint"): "https://b/",
    }
    text = edited(SHIPPED, changes)
    assert tomllib.loads(text) == merged(tomllib.loads(SHIPPED), changes)
    comments = [line for line in SHIPPED.splitlines() if line.startswith("#")]
    assert [line for line in text.splitlines() if line.startswith("#")] == comments


def test_tables_of_more_cameras_stay_as_they_are() -> None:
    more = '[cameras.garden] # mine\nsource = "pattern"\n\n[microphones.hall]\nsource = "tone"\n'
    for before, after in (
        (f'[camera]\nsource = "off"\n\n{more}', f'[camera]\nsource = "file"\n\n{more}'),
        (more, f'{more}\n[camera]\nsource = "file"\n'),
    ):
        assert edited(before, {("camera", "source"): "file"}) == after


def test_nothing_to_change_changes_nothing() -> None:
    assert edited(SHIPPED, {}) == SHIPPED


def test_a_text_that_is_no_toml_is_refused() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        edited("[room\n", {URL: "wss://a"})


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_VALUES = st.recursive(
    st.booleans() | st.integers(-9, 10**12) | _TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
_DATA = st.dictionaries(
    _TEXT, st.dictionaries(_TEXT, _VALUES | st.dictionaries(_TEXT, _VALUES, max_size=2), max_size=4)
)


@given(_DATA)
def test_whatever_is_written_is_read_again(data: dict[str, object]) -> None:
    assert tomllib.loads(written(data)) == data


@given(_DATA, st.lists(st.sampled_from(["room", "camera", "log"]), min_size=1, max_size=3), _TEXT)
def test_an_edit_changes_that_key_alone(data: dict[str, object], tables: list[str], value: str) -> None:
    changes: dict[tuple[str, str], Value] = {(table, "key"): value for table in tables}
    text = written(data)
    assert tomllib.loads(edited(text, changes)) == merged(data, changes)
