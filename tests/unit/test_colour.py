"""libcamera's colour spaces and the H.264 colour descriptions for them."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from device.media.colour import BT601, BT709, Colour, of_libcamera


@dataclass(frozen=True, slots=True)
class Space:
    """libcamera's ColorSpace: four enumerations; only their names are used."""

    words: str

    def __getattr__(self, name: str) -> SimpleNamespace:
        order = ("primaries", "transferFunction", "ycbcrEncoding", "range")
        return SimpleNamespace(name=self.words.split("/")[order.index(name)])


@pytest.mark.parametrize(
    ("words", "colour"),
    (
        ("Smpte170m/Rec709/Rec601/Limited", BT601),
        ("Rec709/Rec709/Rec709/Limited", BT709),
        ("Rec709/Srgb/Rec601/Full", Colour(primaries=1, transfer=13, matrix=6, range=2)),  # Sycc
        ("Rec709/Srgb/Rec601/Limited", Colour(primaries=1, transfer=13, matrix=6, range=1)),  # common for USB cameras
        ("Rec2020/Rec709/Rec2020/Limited", Colour(primaries=9, transfer=1, matrix=9, range=1)),
    ),
)
@pytest.mark.parametrize("height", (480, 1080))
def test_libcameras_colour_space_is_used_at_any_size(words: str, colour: Colour, height: int) -> None:
    assert of_libcamera(Space(words), height=height) == colour


@pytest.mark.parametrize(("height", "colour"), ((480, BT601), (720, BT709)))
def test_unknown_parts_have_the_default(height: int, colour: Colour) -> None:
    assert of_libcamera(None, height=height) == colour
    open_range = "Rec709/Rec709/Null/Limited" if colour is BT709 else "Smpte170m/Rec709/Null/Limited"
    assert of_libcamera(Space(open_range), height=height) == colour
    assert of_libcamera(Space("Raw/Linear/Null/Full"), height=height) == Colour(
        primaries=colour.primaries, transfer=8, matrix=colour.matrix, range=2
    )
