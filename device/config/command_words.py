"""The words of a command: the program, its arguments, and placeholders such as {state} for a caller's values. Pure."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Protocol

from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_MAX_SHOWN = 64


class HasArguments(Protocol):
    """A command, as far as a caller has to know it: the texts that are allowed for each argument."""

    @property
    def arguments(self) -> dict[str, list[str]]: ...


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


def line_words(line: str) -> tuple[str, dict[str, str]]:
    """Return the name and the arguments in a line such as `lamp level=1`; quotes are those of a shell.

    Raises ValueError that says what is wrong.
    """
    try:
        name, *pairs = shlex.split(line)
    except ValueError:
        raise ValueError("must be the name of a command and its arguments, such as lamp level=1") from None
    return name, of_pairs(pairs)


def of_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Return the arguments of a command from words ARGUMENT=VALUE. Raises ValueError that says what is wrong."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f'"{printable(pair)}" is not ARGUMENT=VALUE, such as state=on')
        if name in found:
            raise ValueError(f"{printable(name)} is given twice")
        found[name] = value
    return found


def refusal(name: str, values: Mapping[str, object], commands: Mapping[str, HasArguments]) -> str:
    """Return why a command cannot be run with these values of its arguments; empty if it can."""
    if name not in commands:
        known = f"there are: {', '.join(sorted(commands))}"
        if not commands:
            known = "the configuration has none: add a table [commands.NAME]"
        return f"there is no command {_shown(name)}; {known}"
    allowed = commands[name].arguments
    for argument in values:
        if argument not in allowed:
            known = f"it takes: {', '.join(allowed)}" if allowed else "it takes none"
            return f"{name} has no argument {_shown(argument)}; {known}"
    for argument, texts in allowed.items():
        if argument not in values:
            return f"{name} needs the argument {argument}; allowed: {', '.join(texts)}"
        if values[argument] not in texts:
            return f"{argument} of {name} cannot be {_shown(values[argument])}; allowed: {', '.join(texts)}"
    return ""


def _shown(value: object) -> str:
    return f'"{printable(str(value)[:_MAX_SHOWN])}"'
