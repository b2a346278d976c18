"""A 5x7 dot font for the test picture, upper case only. FFmpeg's drawtext needs a font file; this needs none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ALPHABET = (
    """0 1 2 3 4 5 6 7 8 9
.###. ..#.. .###. ##### ...#. ##### .###. ##### .###. .###.
#...# .##.. #...# ...#. ..##. #.... #...# ....# #...# #...#
#..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...#
#.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .####
##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....#
#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# #...#
.###. .###. ##### .###. ...#. .###. .###. .#... .###. .###.""",
    """A B C D E F G H I J
.###. ####. .###. ####. ##### ##### .###. #...# .###. ..###
#...# #...# #...# #...# #.... #.... #...# #...# ..#.. ...#.
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#.
##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#.
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#.
#...# #...# #...# #...# #.... #.... #...# #...# ..#.. #..#.
#...# ####. .###. ####. ##### #.... .###. #...# .###. .##..""",
    """K L M N O P Q R S T
#...# #.... #...# #...# .###. ####. .###. ####. .#### #####
#..#. #.... ##.## ##..# #...# #...# #...# #...# #.... ..#..
#.#.. #.... #.#.# #.#.# #...# #...# #...# #...# #.... ..#..
##... #.... #.#.# #..## #...# ####. #...# ####. .###. ..#..
#.#.. #.... #...# #...# #...# #.... #.#.# #.#.. ....# ..#..
#..#. #.... #...# #...# #...# #.... #..#. #..#. ....# ..#..
#...# ##### #...# #...# .###. #.... .##.# #...# ####. ..#..""",
    """U V W X Y Z - : . _
#...# #...# #...# #...# #...# ##### ..... ..... ..... .....
#...# #...# #...# #...# #...# ....# ..... ..#.. ..... .....
#...# #...# #...# .#.#. .#.#. ...#. ..... ..#.. ..... .....
#...# #...# #.#.# ..#.. ..#.. ..#.. ##### ..... ..... .....
#...# #...# #.#.# .#.#. ..#.. .#... ..... ..#.. ..... .....
#...# .#.#. ##.## #...# ..#.. #.... ..... ..#.. ..##. .....
.###. ..#.. #...# #...# ..#.. ##### ..... ..... ..##. #####""",
)
_WIDTH, _HEIGHT = 6, 7  # with a column of space
Dots = npt.NDArray[np.bool_]


class Lettering:
    """Renders text at an integer scale."""

    def __init__(self, scale: int) -> None:
        self.height = _HEIGHT * scale
        self.advance = _WIDTH * scale
        self._scale = scale
        self._glyphs = {" ": np.zeros((self.height, self.advance), np.bool_)}
        for group in _ALPHABET:
            names, *rows = group.split("\n")
            for index, name in enumerate(names.split()):
                dots = np.array([[dot == "#" for dot in row.split()[index]] + [False] for row in rows])
                self._glyphs[name] = np.kron(dots, np.ones((scale, scale), np.bool_)).astype(np.bool_)

    def draw(self, luma: npt.NDArray[np.uint8], text: str, *, x: int, y: int, ink: int, paper: int) -> None:
        """Draw one line with its upper left corner at (x, y). Characters that do not fit are left out."""
        fitting = text.upper()[: max(0, (luma.shape[1] - x) // self.advance)]
        if not fitting:
            return
        dots = np.concatenate([self._glyphs.get(letter, self._glyphs["-"]) for letter in fitting], axis=1)
        luma[y : y + self.height, x : x + dots.shape[1]] = np.where(dots, np.uint8(ink), np.uint8(paper))


def has_all(text: str) -> bool:
    """Return whether the font has every character of a text."""
    names = {name for group in _ALPHABET for name in group.partition("\n")[0].split()} | {" "}
    return set(text.upper()) <= names
