"""The viewer page's files: what old browsers lack, how long they are, and what must agree with other files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import device.viewer

FILES = sorted((Path(device.viewer.__file__).parent / "page").iterdir())
CODE = [path for path in FILES if path.suffix == ".js"]

# Missing in Safari 15.0, Firefox ESR 115 or Chrome 100 (caniuse.com), and of no use behind a question mark.
TOO_NEW = {
    "js": (
        r"AbortSignal\.(timeout|any)",
        r"\.at\(",
        r"\.findLast(Index)?\(",
        r"\.to(Sorted|Reversed|Spliced)\(",
        r"\.with\(",
        r"\bstructuredClone\b",
        r"Object\.(hasOwn|groupBy)\b",
        r"Promise\.(withResolvers|try)\b",
        r"\bArray\.fromAsync\b",
        r"/[dgimsuy]*v[dgimsuy]*[.,;)]",  # the flag v of regular expressions
        r"\(\?<[=!]",  # lookbehind
        r"^\s*(static\s+)?#\w+",  # private members
        r"^\s*static\s*\{",
        r"^await\b",  # at the top of a module
        r"\binert\b|showModal|popover|scheduler\.|navigation\.",
        r"(\?\?|\|\||&&)=",
    ),
    "css": (r":has\(", r"@container", r"@layer", r"&", r"color-mix|oklch", r"\b(l|s)v[hw]\b", r"@property", r"subgrid"),
}


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "old.js"], ids=lambda path: path.name)
def test_old_browsers_have_what_the_page_uses(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.DOTALL)
    for pattern in TOO_NEW.get(path.suffix.removeprefix("."), ()):
        assert not re.search(pattern, text, re.MULTILINE), pattern


def test_a_new_unit_of_length_has_an_old_one_before_it() -> None:
    (styles,) = (path.read_text() for path in FILES if path.suffix == ".css")
    for line in styles.splitlines():
        assert "dvh" not in line or re.search(r"height: 100vh; height: 100dvh;", line), line


@pytest.mark.parametrize("name", ("requestVideoFrameCallback", "requestFullscreen", "webkitRequestFullscreen"))
def test_what_some_browsers_lack_is_looked_for_first(name: str) -> None:
    uses = [line for path in CODE for line in path.read_text().splitlines() if f".{name}" in line]
    assert re.search(rf"(if \(|!)[^;]*\.{name}\b(?!\()", "".join(uses))


def test_the_pages_files_are_short_and_each_is_used() -> None:
    text = "".join(path.read_text() for path in FILES)
    for path in FILES:
        assert len(path.read_text().splitlines()) <= 250, path
        assert path.name == "index.html" or re.search(rf"[/\"]{re.escape(path.name)}\"", text), path


def test_the_page_asks_for_what_the_server_serves() -> None:
    text = "".join(path.read_text() for path in FILES)
    from device.viewer.server import VENDOR_FILES

    assert set(re.findall(r'"vendor/([\w.-]+)"', text)) == set(VENDOR_FILES)
