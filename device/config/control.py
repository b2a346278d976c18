"""The table [control]: which participants of the room may ask for which operations. Nobody may by default."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from device.config.marks import REJOIN
from device.config.operation_names import OperationName  # noqa: TC001 - pydantic reads the annotations
from device.config.table import Table

_MAX_RULES, _MAX_CHARACTERS = 64, 256


class ControlRule(Table):
    """Participants whose identity matches a pattern, and whose attributes have these values, and what they may ask."""

    identity: str = Field(min_length=1, max_length=_MAX_CHARACTERS)
    operations: list[OperationName] = Field(min_length=1)
    attributes: dict[str, str] = Field(default_factory=dict)


class Control(Table):
    """Remote control by participants of the room."""

    # A rejoin: the token must allow to answer, and each Room registers the operations anew.
    allow: Annotated[list[ControlRule], REJOIN] = Field(default_factory=list, max_length=_MAX_RULES)
