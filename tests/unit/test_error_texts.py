"""Error texts of sources and encoders: for operators without a library's text, for viewers only fixed texts."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

import device
from device.errors import system_text
from device.sources.opening import error_text
from device.sources.picamera2 import cause
from device.sources.portaudio import error_text as portaudio_text

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = {"SourceError", "SourceAbsentError", "EncoderError", "unsupported"}
# These functions return fixed texts, or the type's name.
IN_WORDS = {"system_text", "_error_text", "cause", "error_text", "type"}
PLACES = ("sources/*.py", "encoders/*.py", "media/*.py", "workers/[cem]*.py", "workers/named.py")
SECRET = "rtsp://admin:hunter2@192.0.2.7/"


def _raised() -> Iterator[tuple[str, ast.Call, set[str]]]:
    """Yield each error that is created in our modules, with the names of the exceptions caught around it."""
    root = Path(device.__file__).parent
    for path in sorted(path for place in PLACES for path in root.glob(place)):
        tree = ast.parse(path.read_text())
        caught = {
            node: {
                handler.name
                for handler in ast.walk(tree)
                if isinstance(handler, ast.ExceptHandler)
                and handler.name
                and any(inner is node for inner in ast.walk(handler))
            }
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS
        }
        for call, names in caught.items():
            yield f"{path.name}:{call.lineno}", call, names


RAISED = {where: (call, names) for where, call, names in _raised()}


def _bare(node: ast.AST, names: set[str]) -> bool:
    """Return whether an expression contains a caught exception that is not passed to one of these functions."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IN_WORDS:
        return False
    if isinstance(node, ast.Attribute) and node.attr == "strerror":  # from FFmpeg's table
        return False
    if isinstance(node, ast.Name) and node.id in names:
        return True
    return any(_bare(child, names) for child in ast.iter_child_nodes(node))


def test_all_raised_errors_are_found() -> None:
    assert len(RAISED) > 40


@pytest.mark.parametrize("where", RAISED)
def test_no_message_contains_the_text_of_a_library(where: str) -> None:
    call, names = RAISED[where]
    assert not any(_bare(argument, names | {"error"}) for argument in (*call.args, *call.keywords))


@pytest.mark.parametrize("where", RAISED)
def test_texts_for_viewers_are_fixed(where: str) -> None:
    call, _ = RAISED[where]
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    words = next((keyword.value for keyword in call.keywords if keyword.arg == "for_viewers"), None)
    if name == "unsupported":
        words = call.args[1]
    assert words is not None or name == "EncoderError", "the type's own words are too vague"
    for part in ast.walk(words) if words is not None else ():
        if isinstance(part, ast.Constant):
            assert "/" not in str(part.value)
        if isinstance(part, ast.FormattedValue):
            assert ast.unparse(part.value) in ("kind", "what", "table")


@pytest.mark.parametrize("in_words", (system_text, portaudio_text, cause, error_text))
def test_an_exceptions_text_is_the_systems_or_its_type(in_words: object) -> None:
    assert callable(in_words)
    for error in (OSError(19, SECRET), RuntimeError(SECRET), OSError(SECRET), ValueError(19, SECRET), KeyError(SECRET)):
        assert "hunter2" not in in_words(error)
        assert in_words(error)
    if in_words is not portaudio_text:
        assert in_words(OSError(19, SECRET)) == "No such device"
    with pytest.raises(av.error.FFmpegError) as caught:
        av.open("/none/hunter2.mp4")
    assert "hunter2" not in in_words(caught.value)
