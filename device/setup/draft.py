"""The new state: loaded by the daemon's own loader before anything is written to /etc."""

from __future__ import annotations

import contextlib
import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from device.config import loading, toml_file, writing
from device.config.places import DEFAULT_PATH
from device.config.writing import CREDENTIALS
from device.errors import ConfigError, DeviceError, Problem, system_text
from device.setup import answers as answered
from device.setup import toml_edit
from device.setup.interruption import signals_delayed
from device.telemetry.attributes import Attributes
from device.tokens import selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from device.config.effective import Config
    from device.setup.answers import Answers
    from device.setup.present import Present
    from device.tokens.selection import ApiKey, Endpoint, TokenFile

FOLDER = Path("/run/livekit-device-setup")
"""Holds the new secrets until they are written to /etc; in memory, and readable by this user only."""
_FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The text and mode of device.toml, and the files with secrets; None: the file is removed."""

    text: str = field(repr=False)
    mode: int
    secrets: Mapping[str, str | None] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A valid configuration and its token source."""

    config: Config
    token_source: TokenFile | Endpoint | ApiKey


def new_state(present: Present, answers: Answers) -> State:
    """Return the state that the answers ask for."""
    # A file that holds a secret itself keeps its mode.
    keeps_mode = present.holds_secret and answers.origin is None
    return State(
        text=toml_edit.edited(present.text, answered.changes(answers, present.data)),
        mode=present.mode if keeps_mode else writing.FILE_MODE,
        secrets=answered.secret_files(answers),
    )


@contextmanager
def private_folder(root: Path) -> Iterator[Path]:
    """Lock and yield a folder for drafts, which is empty before and after. Raises DeviceError if it is in use."""
    folder = root / FOLDER.relative_to("/")
    with _errors_named(folder):
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeviceError("another setup is running on this device; end it first") from None
        with _errors_named(folder):
            _empty(folder)  # a killed setup leaves its draft
        try:
            yield folder
        finally:
            with signals_delayed(), contextlib.suppress(OSError):  # the next setup tries it again
                _empty(folder)
    finally:
        os.close(lock)


def draft(folder: Path, target: Path, state: State) -> Loaded:
    """Load a new state as the service would. Raises ConfigError, whose texts name the files in `target`.

    :param folder: a private folder, where the token source reads the new secrets until the next draft
    :param target: the folder of the configuration; nothing is written there
    """
    with _errors_named(folder):
        _empty(folder)
        for name, content in state.secrets.items():
            if content is not None:
                _write(folder / name, content)
    path = target / DEFAULT_PATH.name
    config = loading.validated(path, toml_file.parsed(path, state.text.encode()))
    return Loaded(config=config, token_source=_token_source(config, folder if state.secrets else None, target))


def loaded(target: Path) -> Loaded:
    """Load the written configuration. Raises ConfigError."""
    config = loading.load(target / DEFAULT_PATH.name)
    return Loaded(config=config, token_source=_token_source(config, None, target))


def _token_source(config: Config, folder: Path | None, target: Path) -> TokenFile | Endpoint | ApiKey:
    credentials = target / CREDENTIALS
    try:
        return selection.select(config, attributes=Attributes(), directory=folder or credentials)
    except ConfigError as error:
        old, new = str(folder or credentials), str(credentials)
        raise ConfigError(
            *(Problem(each.place.replace(old, new), each.message.replace(old, new)) for each in error.problems)
        ) from None


def _write(path: Path, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, writing.SECRET_MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@contextmanager
def _errors_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeviceError(f"{error.filename or folder}: {system_text(error)}; nothing was changed") from None
