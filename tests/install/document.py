"""The commands and files that our documents give people, to be run and laid as they stand."""

import re
from pathlib import Path

from tests.install.recipes import CHECKOUT

_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def section(document: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one of any level."""
    text = Path(CHECKOUT, document).read_text()
    bare = _BLOCK.sub(lambda match: " " * len(match[0]), text)  # a comment in a block is no heading
    found = list(_HEADING.finditer(bare))
    (number,) = (number for number, each in enumerate(found) if each[1] == heading)
    end = found[number + 1].start() if number + 1 < len(found) else len(text)
    return text[found[number].end() : end]


def blocks(document: str, heading: str, language: str) -> list[str]:
    """Return the code blocks of a language in a section."""
    return [text for name, text in _BLOCK.findall(section(document, heading)) if name == language]


def commands(document: str, heading: str) -> list[str]:
    """Return the commands in a section, one a line; a backslash at its end continues one."""
    lines = "".join(blocks(document, heading, "sh")).replace("\\\n", "").splitlines()
    return [line.partition("  #")[0].rstrip() for line in lines if line and not line.startswith("#")]
