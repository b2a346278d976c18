"""The floor: the minimum cost of publishing these pictures and this sound, with the Go SDK; built into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support.go_program import GoProgram

_PROGRAM: Final = GoProgram(name="bench-floor", folder=Path(__file__).parent)

missing = _PROGRAM.missing
binary = _PROGRAM.binary
