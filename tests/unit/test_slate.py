"""The slate as its one-shot process draws and encodes it: judged by decoding."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import av
import numpy as np
import numpy.typing as npt
import pytest

from device.ipc import messages  # noqa: F401 - it registers the messages
from device.ipc.framing import Decoder, Received, encode
from device.ipc.registry import Direction
from device.media.picture import AccessUnit

LINES = ["No picture since 2024-05-06 07:08:09 UTC", "nothing came for 2 s"]
SPS, PPS, IDR = 7, 8, 5
# In grey, from 0 to 255.
PAPER, LETTERS, NOTHING = 26, 150, 60


def draw(title: str, lines: list[str], *, width: int = 640, height: int = 360) -> bytes:
    wanted = {"title": title, "lines": lines, "width": width, "height": height}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "device.workers.slate"],
        input=json.dumps(wanted).encode(),
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    return ended.stdout


def nal_types(unit: bytes) -> list[int]:
    return [match[1][0] & 0x1F for match in re.finditer(rb"\x00\x00\x01(.)", unit, re.DOTALL)]


def decoded(unit: bytes) -> npt.NDArray[np.uint8]:
    """Return the one picture, in grey, that a fresh decoder makes of the one unit."""
    decoder = av.CodecContext.create("h264", "r")
    [frame] = [*decoder.decode(av.Packet(unit)), *decoder.decode(None)]
    assert isinstance(frame, av.VideoFrame)
    assert frame.key_frame
    return np.asarray(frame.to_ndarray(format="gray"), np.uint8)


def letters(picture: npt.NDArray[np.uint8]) -> float:
    """Return what share of a picture is light, having seen that the rest is dark paper."""
    assert abs(float(np.median(picture)) - PAPER) < 4
    return float((picture > LETTERS).mean())


def test_one_key_frame_with_its_parameter_sets() -> None:
    unit = draw("Porch", LINES)
    assert unit.startswith(b"\0\0\0\1")
    kinds = [kind for kind in nal_types(unit) if kind in (SPS, PPS, IDR, 1)]
    assert kinds == [SPS, PPS, IDR]
    assert len(unit) < 32 << 10  # repeated each second it is a trickle
    message = AccessUnit(payload=unit, key=True, width=640, height=360, number=0, captured_at_us=0)
    assert [*Decoder(Direction.TO_DAEMON).feed(encode(message))] == [Received(message, 0)]


def test_light_letters_on_dark_paper() -> None:
    picture = decoded(draw("Porch", LINES))
    assert picture.shape == (360, 640)
    assert 0.005 < letters(picture) < 0.1
    # The title above, the reason below, nothing at the edges.
    assert letters(picture[90:160]) > 0.01
    assert (picture[160:260] > 100).any()
    for edge in (picture[:40], picture[-20:], picture[:, :30]):
        assert edge.max() < NOTHING


def test_each_text_gives_another_picture() -> None:
    units = {draw(title, [*LINES, why]) for title in ("Porch", "Shed") for why in ("absent", "stalled")}
    assert len(units) == 4


@pytest.mark.parametrize(
    ("width", "height"),
    ((640, 360), (480, 360), (160, 120), (640, 20), (26, 360), (64, 64), (16, 16), (2, 2)),
)
def test_every_size_can_be_drawn(width: int, height: int) -> None:
    """640x20 and 26x360 are what is made of the widest and the highest picture that can be configured."""
    assert decoded(draw("Porch", LINES, width=width, height=height)).shape == (height, width)


@pytest.mark.parametrize(
    "text",
    (
        pytest.param("W" * 256, id="wide"),
        "a sentence that goes on and on " * 60,
        "日本語のカメラ",
        "كاميرا المرآب",
        "Кухня, гараж",
        "🎥📷 " * 60,
        "two\nlines\r\nand a\ttab",
        "\0\x07\x1b[31m",
        "\ud800 half a character",
        "e\u0301\u200d\u202e",
    ),
)
def test_every_text_can_be_drawn(text: str) -> None:
    picture = decoded(draw(text, [text, *LINES]))
    assert letters(picture) > 0.001
    assert picture[:, -20:].max() < NOTHING, "it is written over the edge"


@pytest.mark.parametrize("text", ("", " ", "\n"))
def test_no_text_is_dark_paper(text: str) -> None:
    assert letters(decoded(draw(text, [text]))) == 0
    assert letters(decoded(draw(text, []))) == 0


def test_the_daemon_itself_imports_neither_pillow_nor_pyav() -> None:
    heavy = ("PIL", "av", "picamera2", "pyaudio")
    program = f"import sys, device.daemon; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100)
    assert ended.stdout == "[]\n"
