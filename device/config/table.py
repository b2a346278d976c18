"""The base of the configuration's tables."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

CONTRADICTION = "contradiction"
"""The type of an error about values that contradict each other, perhaps only because one of them is wrong."""
ControlValue = bool | int | float | str | list[int] | list[float]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
