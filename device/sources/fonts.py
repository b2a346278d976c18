"""Draws text of any script with the system's fonts, and with GNU Unifont, which is part of the package."""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from device.sources.unifont import Unifont

if TYPE_CHECKING:
    from collections.abc import Iterator

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont | Unifont

_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")
# File name prefixes in order of preference: the best glyphs first, the widest coverage last.
_PREFERRED = (
    "NotoSans-Regular",
    "DejaVuSans.",
    "LiberationSans-Regular",
    "FreeSans.",
    "NotoSansCJK-Regular",
    "NotoSansCJKjp-Regular",
    "SourceHanSans-Regular",
    "DroidSansFallback",
    "wqy-microhei",
    "wqy-zenhei",
    "unifont.",
)
_SUFFIXES = (".ttf", ".otf", ".ttc")
_NO_CHARACTER = "\U0010fffe"  # a noncharacter: fonts draw it as they draw every character that they lack
_NEUTRAL = frozenset(("WS", "ON", "CS", "ES", "ET", "NSM"))  # of the Unicode bidirectional algorithm (UAX #9)
_REPLACEMENTS = ("\u25a1", "?")  # a white square if a font has it


class Lettering:
    """Draws one line of text at a size in pixels. Each character uses the first font that has it."""

    def __init__(self, size: int, files: tuple[Path, ...] | None = None) -> None:
        found = font_files() if files is None else files
        self._fonts: list[Font] = [*_opened(found, size), ImageFont.load_default(size), Unifont(size)]
        self._missing = {id(font): _drawn(font, _NO_CHARACTER) for font in self._fonts if not isinstance(font, Unifont)}
        self._chosen: dict[str, tuple[Font, str]] = {}

    def length(self, text: str) -> float:
        """Return the width of a text in pixels."""
        return sum(font.getlength(run) for font, run in self._runs(text))

    def draw(self, draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, fill: tuple[int, int, int]) -> None:
        """Draw a text with the upper left corner of its line at (x, y)."""
        x, y = at
        ascent = max((_ascent(font) for font, _ in self._runs(text)), default=0)
        for font, run in self._runs(text):
            place = (x, y + ascent - _ascent(font))
            if isinstance(font, Unifont):
                draw.bitmap((round(place[0]), round(place[1])), font.picture(_visual(run)), fill=fill)
            else:
                draw.text(place, run, font=font, fill=fill)
            x += font.getlength(run)

    def _runs(self, text: str) -> Iterator[tuple[Font, str]]:
        """Yield runs of the text, each with a font that has all of its characters."""
        current, run = self._fonts[0], ""
        for character in printable(text):
            # Spaces, signs and marks stay in the run: Pillow reorders right-to-left text within one run only.
            if run and unicodedata.bidirectional(character) in _NEUTRAL and self._has(current, character):
                run += character
                continue
            font, shown = self._choice(character)
            if font is not current and run:
                yield current, run
                run = ""
            current, run = font, run + shown
        if run:
            yield current, run

    def _choice(self, character: str) -> tuple[Font, str]:
        """Return a font for a character, and the text to draw: the character, its NFKD form or a replacement."""
        if character not in self._chosen:
            plain = "".join(
                each for each in unicodedata.normalize("NFKD", character) if not unicodedata.combining(each)
            )
            for shown in (character, plain, *_REPLACEMENTS):
                if shown and (font := self._font_for(shown)) is not None:
                    self._chosen[character] = (font, shown)
                    break
            else:
                self._chosen[character] = (self._fonts[-1], "")
        return self._chosen[character]

    def _font_for(self, text: str) -> Font | None:
        return next((font for font in self._fonts if all(self._has(font, each) for each in text)), None)

    def _has(self, font: Font, character: str) -> bool:
        if isinstance(font, Unifont):
            return font.has(character)
        return character.isspace() or _drawn(font, character) != self._missing[id(font)]


def printable(text: str) -> str:
    """Return a text on one line, in NFC, without control characters."""
    whole = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(each for each in whole if unicodedata.category(each)[0] != "C")


@functools.cache
def font_files() -> tuple[Path, ...]:
    """Return the system's fonts that are in the list of preferred fonts, in the order of that list."""
    found: dict[str, Path] = {}
    for folder in _FOLDERS:
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix.lower() not in _SUFFIXES:
                continue
            for name in _PREFERRED:
                if path.name.startswith(name):
                    found.setdefault(name, path)
    return tuple(found[name] for name in _PREFERRED if name in found)


def _opened(files: tuple[Path, ...], size: int) -> Iterator[ImageFont.FreeTypeFont]:
    for path in files:
        try:
            yield ImageFont.truetype(path, size)
        except OSError:  # not a font, or unreadable
            continue


def _visual(run: str) -> str:
    """Return a run in visual order, left to right, for a font without text shaping; marks stay behind their letters."""
    clusters: list[str] = []
    for each in run:
        if clusters and unicodedata.combining(each):
            clusters[-1] += each
        else:
            clusters.append(each)
    shown: list[str] = []
    right_to_left: list[str] = []
    neutral: list[str] = []
    for cluster in clusters:
        direction = unicodedata.bidirectional(cluster[0])
        if direction in ("R", "AL"):
            (right_to_left or shown).extend(neutral)
            right_to_left.append(cluster)
            neutral = []
        elif direction in _NEUTRAL:
            neutral.append(cluster)
        else:
            shown += [*reversed(right_to_left), *neutral, cluster]
            right_to_left, neutral = [], []
    return "".join((*shown, *reversed(right_to_left), *neutral))


def _drawn(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(text, mode="L")
    return mask.size, bytes(mask)


def _ascent(font: Font) -> int:
    if isinstance(font, Unifont):
        return font.ascent()
    return font.getmetrics()[0] if isinstance(font, ImageFont.FreeTypeFont) else 0


def rasterised(text: str, *, height: int) -> Image.Image:
    """Return one line of text as a picture of 8-bit luma, with a height in pixels."""
    lettering = Lettering(max(8, height * 3 // 4))
    width = max(1, round(lettering.length(text)))
    picture = Image.new("RGB", (width, height))
    lettering.draw(ImageDraw.Draw(picture), (0, 0), text, (255, 255, 255))
    return picture.convert("L")
