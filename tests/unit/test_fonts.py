"""Names in any script, on the slate and on the test picture."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from device.sources.fonts import _REPLACEMENTS, Lettering, _visual, font_files, printable, rasterised
from device.sources.lettering import has_all
from device.sources.pattern import PatternSource
from device.sources.unifont import Unifont, _glyph
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
def test_each_letter_of_a_name_has_its_glyph(character: str) -> None:
    found = picture(character)
    assert found != picture(" ")
    for replacement in ("\u25a1", "?", "\U0010fffe"):
        assert found != picture(replacement)


def test_all_letters_differ() -> None:
    letters = sorted(set(NAME) - {" "})
    assert len({picture(each) for each in letters}) == len(letters)


@pytest.mark.parametrize("character", sorted(set(NAME) - {" "}))
def test_each_letter_has_its_glyph_on_a_system_without_fonts(character: str) -> None:
    found = picture(character, ())
    for other in (" ", *_REPLACEMENTS, "\U0010fffe", *set(NAME) - {character}):
        assert found != picture(other, ())


@pytest.mark.parametrize("files", (None, ()), ids=("system", "packaged"))
def test_a_letter_that_no_font_has_is_replaced(files: tuple[Path, ...] | None) -> None:
    lettering = Lettering(SIZE, files)
    assert [run for _, run in lettering._runs("\U0001f6aa")] == [_REPLACEMENTS[0]]
    assert picture("\U00016b00", files) != picture(" ", files)
    assert picture("\U0001d542", ()) == picture("K", ())


def test_only_right_to_left_words_are_reversed_for_the_packaged_font() -> None:
    shalom, dalet = "\u05e9\u05dc\u05d5\u05dd", "\u05d3\u05dc\u05ea"
    assert _visual(f"a {shalom} {dalet}! b") == f"a {dalet[::-1]} {shalom[::-1]}! b"
    assert _visual("\u0414\u0432 \u7384") == "\u0414\u0432 \u7384"
    assert _visual("\u05d0\u05b7\u05d1") == "\u05d1\u05d0\u05b7"
    with_marks = Unifont(16).picture("\u05d1\u05d0\u05b7")
    assert with_marks.size == Unifont(16).picture("\u05d1\u05d0").size
    assert with_marks.tobytes() != Unifont(16).picture("\u05d1\u05d0").tobytes()


def test_right_to_left_words_are_one_run_for_fonts_that_pillow_shapes() -> None:
    name = "\u05e9\u05dc\u05d5\u05dd \u05d3\u05dc\u05ea"
    assert [run for _, run in Lettering(SIZE)._runs(name)] == [name]


def test_the_packaged_font_has_the_glyphs_of_its_source() -> None:
    """From unifont-15.0.01.hex: 0041 and 7384."""
    letter = "0000000018242442427E424242420000"
    sign = "020001000100FFFE02000420082010403F8011000200042008103FF810080008"
    assert _glyph("A") == (1, bytes.fromhex(letter))
    assert _glyph("\u7384") == (2, bytes.fromhex(sign))
    assert sum(Unifont(16).has(chr(code)) for code in range(0x10000)) == 57086


def test_a_name_of_256_letters_is_drawn_in_bounded_time_and_space() -> None:
    name = "\u7384\u0301\u05d0a\U0001f6aa \u200f\u202e\x07" * 32
    began = time.process_time()
    image = drawn(title=name, lines=[name], width=640, height=360)
    source = PatternSource(width=160, height=120, fps=30, identity=name)
    assert time.process_time() - began < 5
    assert image.size == (640, 360)
    assert source.draw(0, 0).width == 160


def test_a_file_that_is_not_a_font_is_ignored(tmp_path: Path) -> None:
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


def test_the_test_picture_shows_the_name_in_any_script() -> None:
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
