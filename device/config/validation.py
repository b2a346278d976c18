"""Lets a child process find and validate the configuration, so that this process never loads pydantic (11 MB)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.config.marks import ChangeClass, Key
from device.errors import ConfigError, Problem

if TYPE_CHECKING:
    from device.config.effective import Config

_CHILD = "device.config.child"
_LIMIT_S = 60.0  # a quarter of a second; the file may be on a network


class ValidationFailedError(RuntimeError):
    """The child process ended without a result: the configuration may be valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valid:
    """A valid configuration, its main file, and what is odd about it but no error."""

    path: Path
    config: Config
    warnings: tuple[Problem, ...]


class Validation:
    """The child process, which is started at once, so that it works while the caller imports other modules.

    It gets the environment, in which keys and secrets may stand, and answers through a pipe.
    """

    def __init__(self, argument: Path | None) -> None:
        command = [sys.executable, "-P", "-m", _CHILD, *([str(argument)] if argument else [])]
        self._process = subprocess.Popen(  # noqa: S603 - this program
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=dict(os.environ),  # without what only native libraries see
        )

    def result(self) -> Valid:
        """Wait for the result, at most a minute.

        Raises ConfigError as `loading.loaded` does, and ValidationFailedError if the process fails.
        """
        with self._process as process:
            try:
                text, _ = process.communicate(timeout=_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ValidationFailedError(f"the configuration could not be read within {_LIMIT_S:g} s") from None
        if process.returncode:
            raise ValidationFailedError(f"the process that validates the configuration ended with {process.returncode}")
        return _decoded(json.loads(text))


def validated(argument: Path | None) -> Valid:
    """Validate while another configuration is in effect. Raises ConfigError, also if the process fails."""
    try:
        return Validation(argument).result()
    except (ValidationFailedError, OSError) as error:
        raise ConfigError(Problem("configuration", f"could not be validated: {error}")) from None


def _decoded(answer: dict[str, Any]) -> Valid:
    from device.config.effective import restored  # after the child was started

    if problems := answer.get("problems"):
        raise ConfigError(*(Problem(place, message) for place, message in problems))
    if failed := answer.get("failed"):
        raise ValidationFailedError(failed)
    keys = {name: Key(**each | {"needs": ChangeClass(each["needs"])}) for name, each in answer["keys"].items()}
    return Valid(
        path=Path(answer["path"]),
        config=restored(answer["config"], keys),
        warnings=tuple(Problem(place, message) for place, message in answer["warnings"]),
    )
