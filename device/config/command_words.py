"""The words of a command: the program, its arguments, and placeholders such as {state} for a caller's values. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def placeholders(words: Sequence[str]) -> dict[str, None]:
    """Return the names of the placeholders in words, in their order."""
    return dict.fromkeys(found[1] for word in words for found in _PLACEHOLDER.finditer(word))


def filled(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Return the words with a value for each placeholder. A word stays one word, whatever the value is."""
    return [_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in words]


def contradiction(words: Sequence[str], arguments: Mapping[str, object]) -> str:
    """Return what is wrong with words and the arguments that callers may give; empty if nothing is."""
    program, *_ = words
    if not program.startswith("/") or placeholders([program]):
        return "run must begin with the absolute path of a program, without placeholders; there is no shell"
    used = placeholders(words)
    if unknown := [name for name in used if name not in arguments]:
        return f"run has the placeholder {{{unknown[0]}}}, which arguments does not name"
    if unused := [name for name in arguments if name not in used]:
        return f"arguments.{unused[0]} is not used; put {{{unused[0]}}} into run"
    return ""
