"""The table [hooks]: which commands are run when something changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from device.config.command_words import HasArguments, line_words, refusal
from device.config.marks import LIVE
from device.config.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_LINE = 1024


def _line(value: str) -> str:
    """Return a line of a name and arguments. Whether there is such a command is known with the whole configuration."""
    if value:
        line_words(value)
    return value


_Line = Annotated[str, AfterValidator(_line)]


class Hooks(Table):
    """Commands of the configuration, `NAME ARGUMENT=VALUE`, that are run when nobody watches, and when that ends."""

    watched: Annotated[_Line, LIVE] = Field(default="", max_length=_MAX_LINE)
    unwatched: Annotated[_Line, LIVE] = Field(default="", max_length=_MAX_LINE)

    def contradiction(self, commands: Mapping[str, HasArguments], *, viewers_are_known: bool) -> str:
        """Return what is wrong with the hooks and the rest of the configuration; empty if nothing is.

        `viewers_are_known`: a camera does not send to nobody, so the room says whether it is watched.
        """
        for key, line in self:
            if line and (text := refusal(*line_words(line), commands)):
                return f"hooks.{key}: {text}"
            if line and not viewers_are_known:
                return f'hooks.{key} is set, but no camera has when_unwatched = "pause" or "sleep", which it follows'
        return ""
