"""Names in any script, on the slate and on the test picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from device.sources.fonts import Lettering, font_files, printable, rasterised
from device.sources.lettering import has_all
from device.sources.pattern import PatternSource
from device.workers.slate import drawn

if TYPE_CHECKING:
    from pathlib import Path

NAME = "Haust\u00fcr \u7384\u95a2 \u0414\u0432\u0435\u0440\u044c"
SIZE = 40


def picture(text: str, files: tuple[Path, ...] | None = None) -> bytes:
    """Return the pixels of a text."""
    image = Image.new("RGB", (2 * SIZE, 2 * SIZE))
    Lettering(SIZE, files).draw(ImageDraw.Draw(image), (4, 4), text, (255, 255, 255))
    return image.tobytes()


def test_the_system_has_fonts() -> None:
    assert len(font_files()) >= 2


@pytest.mark.parametrize("character", sorted(set(NAME) - {" "}))
def test_each_letter_of_a_name_is_drawn_as_itself(character: str) -> None:
    found = picture(character)
    assert found != picture(" ")
    for replacement in ("\u25a1", "?", "\U0010fffe"):
        assert found != picture(replacement)


def test_all_letters_differ() -> None:
    letters = sorted(set(NAME) - {" "})
    assert len({picture(each) for each in letters}) == len(letters)


def test_without_any_font_a_plainer_letter_stands_in_else_a_mark() -> None:
    assert picture("\u1e87", ()) == picture("w", ())
    assert picture("\u7384", ()) == picture("\u95a2", ())
    assert picture("\u7384", ()) != picture(" ", ())


def test_a_file_that_is_no_font_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert picture("A", (tmp_path / "broken.ttf", tmp_path / "none.ttf")) == picture("A", ())


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_any_text_is_drawn_on_one_line(text: str) -> None:
    lettering = Lettering(12)
    assert lettering.length(text) >= 0
    assert "\n" not in printable(text)
    lettering.draw(ImageDraw.Draw(Image.new("RGB", (64, 32))), (0, 0), text, (255, 255, 255))


@pytest.mark.parametrize("title", (NAME, "\U0001f6aa", "\u05d3\u05dc\u05ea", "x" * 256, "\u0301", "a\nb\x00c", ""))
def test_a_slate_with_any_title(title: str) -> None:
    image = drawn(title=title, lines=["No picture since 2026-01-01"], width=640, height=360)
    assert image.size == (640, 360)


def test_the_slate_shows_the_name() -> None:
    with_name = drawn(title=NAME, lines=[], width=640, height=360)
    boxes = drawn(title="\U0010fffd" * len(NAME), lines=[], width=640, height=360)
    assert with_name.tobytes() != boxes.tobytes()


def test_the_test_picture_shows_the_name_and_others_as_before() -> None:
    assert has_all("device-1a2b")
    assert not has_all(NAME)

    def name_row(identity: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        source = PatternSource(width=640, height=360, fps=30, identity=identity)
        frame = source.draw(0, 0)
        luma = np.frombuffer(frame.planes[0], np.uint8).reshape(360, frame.planes[0].line_size)  # type: ignore[call-overload]
        return np.array(luma[source._text_top : source._text_top + source._line, :640])

    shown, other = name_row(NAME), name_row(NAME.replace("\u7384", "\u95a2"))
    assert (shown > 100).sum() > 100
    assert (shown != other).any()
    assert shown.max() <= 235
    assert rasterised(NAME, height=20).size[1] == 20
