"""The tables [commands.NAME]: programs that operators may run by name."""

from __future__ import annotations

import json
import re
from typing import Annotated, Self, TypeGuard

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from device.config.command_words import contradiction
from device.config.marks import LIVE
from device.config.table import CONTRADICTION, Table
from device.config.values import short_name

LONGEST_S = 25
"""The highest timeout_s."""
MAX_COMMANDS = 32
_MAX_WORDS, _MAX_WORD = 64, 1024
_MAX_ARGUMENTS, _MAX_VALUES, _MAX_VALUE = 8, 64, 64
_ARGUMENT = re.compile(r"[a-z][a-z0-9_]{0,31}")


def _words(value: object) -> object:
    """Return a list of words as a tuple; in the environment it is JSON."""
    words = _of_json(value, '["/usr/bin/PROGRAM", "ARGUMENT"]')
    if not _are_texts(words, most=_MAX_WORDS, longest=_MAX_WORD) or any("\0" in word for word in words):
        raise ValueError(
            "must be a list of texts, the absolute path of a program and its arguments; "
            f"allowed: {_MAX_WORDS} of at most {_MAX_WORD} characters"
        )
    return tuple(words)


def _arguments(value: object) -> object:
    """Return the allowed values of each argument as a list."""
    arguments = _of_json(value, '{"state": ["on", "off"]}')
    if not isinstance(arguments, dict) or len(arguments) > _MAX_ARGUMENTS:
        raise ValueError(f"must be a table of at most {_MAX_ARGUMENTS} arguments")
    for name, values in arguments.items():
        if not isinstance(name, str) or not _ARGUMENT.fullmatch(name):
            raise ValueError("has a name that is not allowed; allowed: 1 to 32 letters (a to z), digits and _")
        if not _are_texts(values, most=_MAX_VALUES, longest=_MAX_VALUE) or not all(map(str.isprintable, values)):
            raise ValueError(
                f'{name} must be a list of the texts that are allowed for it, such as {name} = ["on", "off"]; '
                f"allowed: {_MAX_VALUES} of 1 to {_MAX_VALUE} characters"
            )
    return arguments


def _of_json(value: object, example: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(f"is not JSON; it must look like {example}") from None


def _are_texts(value: object, *, most: int, longest: int) -> TypeGuard[list[str]]:
    return (
        isinstance(value, list | tuple)
        and 0 < len(value) <= most
        and all(isinstance(each, str) and 0 < len(each) <= longest for each in value)
    )


# NoDecode: pydantic-settings would parse the values from the environment itself.
_Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
_Arguments = Annotated[dict[str, list[str]], NoDecode, BeforeValidator(_arguments)]
CommandName = Annotated[str, short_name("command")]


class Command(Table):
    """One command, [commands.NAME]. Callers choose values of `arguments`, which replace {ARGUMENT} in `run`."""

    run: Annotated[_Words, LIVE]
    timeout_s: Annotated[float, LIVE] = Field(default=10.0, ge=0.1, le=LONGEST_S)
    arguments: Annotated[_Arguments, LIVE] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if text := contradiction(self.run, self.arguments):
            raise PydanticCustomError(CONTRADICTION, text)
        return self
