"""The new state as files, and what the daemon's own loader makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.config import loading
from device.config.places import DEFAULT_PATH
from device.errors import ConfigError, Problem
from device.setup import answers as answered
from device.setup import toml_edit
from device.setup.present import CREDENTIALS
from device.setup.transaction import PUBLIC_MODE, SECRET_MODE, TransactionError
from device.telemetry.attributes import Attributes
from device.tokens import selection

if TYPE_CHECKING:
    from pathlib import Path

    from device.config.schema import Config
    from device.setup.answers import Answers
    from device.setup.present import Present
    from device.setup.transaction import Staging
    from device.tokens.selection import ApiKey, Endpoint, TokenFile

_NAME = DEFAULT_PATH.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A configuration that is valid, and its way to a token."""

    config: Config
    token_source: TokenFile | Endpoint | ApiKey


def drafted(stage: Staging, target: Path, present: Present, answers: Answers) -> Draft:
    """Write the new state into the staging folder, and load it.

    Raises ConfigError with places as they will be, and TransactionError where it cannot be written.
    """
    text = toml_edit.edited(present.text, answered.changes(answers, present.data))
    # A file that holds a secret by itself keeps its mode.
    keeps = present.holds_secret and answers.way is None
    try:
        stage.begin()
        stage.write(_NAME, text.encode(), mode=present.mode if keeps else PUBLIC_MODE)
        for name, content in answered.secret_files(answers).items():
            if content is None:
                stage.remove(f"{CREDENTIALS}/{name}")
            else:
                stage.write(f"{CREDENTIALS}/{name}", content.encode(), mode=SECRET_MODE)
    except OSError as error:
        raise TransactionError(f"{target} cannot be written: {error.strerror}; nothing was changed") from None
    return loaded(stage.folder, target)


def loaded(folder: Path, target: Path) -> Draft:
    """Load a folder of configuration as the service would. Raises ConfigError, with `target` as the place."""
    try:
        config = loading.load(folder / _NAME)
        source = selection.select(config, attributes=Attributes(), directory=folder / CREDENTIALS)
    except ConfigError as error:
        raise ConfigError(
            *(
                Problem(each.place.replace(str(folder), str(target)), each.message.replace(str(folder), str(target)))
                for each in error.problems
            )
        ) from None
    return Draft(config=config, token_source=source)
