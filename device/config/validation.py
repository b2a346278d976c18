"""Lets a child process find and validate the configuration, so that this process never loads pydantic (11 MB)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.config.layer import Layer
from device.config.marks import ChangeClass, Key
from device.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.config.effective import Config

_CHILD = "device.config.child"
_LIMIT_S = 60.0  # a quarter of a second; the file may be on a network


class ValidationFailedError(RuntimeError):
    """The child process ended without a result: the configuration may be valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valid:
    """A valid configuration, its main file, the layers it is made of, and what is odd about it but no error."""

    path: Path
    config: Config
    layers: tuple[Layer, ...]
    warnings: tuple[Problem, ...]


class Validation:
    """The child process, which is started at once, so that it works while the caller imports other modules.

    It gets the environment, in which keys and secrets may stand, and answers through a pipe. `given` is what
    `device.config.child` takes instead of files, or beside them.
    """

    def __init__(self, argument: Path | None, given: Mapping[str, Any] | None = None) -> None:
        command = [sys.executable, "-P", "-m", _CHILD, *([str(argument)] if argument else [])]
        self._input = None if given is None else json.dumps(given).encode()
        self._process = subprocess.Popen(  # noqa: S603 - this program
            command,
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(os.environ),  # without what only native libraries see
        )

    def result(self) -> Valid:
        """Wait for the result, at most a minute.

        Raises ConfigError as `loading.loaded` does, and ValidationFailedError if the process fails.
        """
        with self._process as process:
            try:
                text, _ = process.communicate(self._input, timeout=_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ValidationFailedError(f"the configuration could not be read within {_LIMIT_S:g} s") from None
        if process.returncode:
            raise ValidationFailedError(f"the process that validates the configuration ended with {process.returncode}")
        return _decoded(json.loads(text))


def validated(argument: Path | None, given: Mapping[str, Any] | None = None) -> Valid:
    """Validate while another configuration is in effect. Raises ConfigError, also if the process fails."""
    try:
        return Validation(argument, given).result()
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
        layers=tuple(Layer.of_plain(each) for each in answer["layers"]),
        warnings=tuple(Problem(place, message) for place, message in answer["warnings"]),
    )
