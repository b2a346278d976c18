"""The present configuration: its values are the defaults of the questions, and keys without a question stay."""

from __future__ import annotations

import codecs
import stat
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device.config import loading
from device.config.places import DEFAULT_PATH
from device.config.schema import Camera, Microphone
from device.config.speaker import Speaker
from device.config.writing import CREDENTIALS, FILE_MODE, SECRETS
from device.errors import ConfigError, Problem
from device.redaction import hide
from device.setup.answers import API_KEY, TOKEN, Source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DEFAULTS = {"camera": Camera().source, "microphone": Microphone().source, "speaker": Speaker().source}
_ANSWERED = ("room", "credentials")  # setup asks about them, so mistakes in them can be corrected


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The text of device.toml, its tables, and the names of the files with secrets."""

    text: str = field(default="", repr=False)
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = frozenset()
    mode: int = FILE_MODE

    def text_of(self, table: str, key: str) -> str:
        """Return a value that is a text; empty for other types."""
        value = self._table(table).get(key, "")
        return value if isinstance(value, str) else ""

    @property
    def urls(self) -> list[str]:
        value = self._table("room").get("url", "")
        return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str) and each]

    @property
    def origin(self) -> str:
        """Return the configured token source: "endpoint", "token", "key" or an empty text."""
        if self.text_of("credentials", "endpoint"):
            return "endpoint"
        if self.text_of("credentials", "token_file"):
            return "token"
        if self.text_of("credentials", "api_key"):
            return "key"
        return "token" if TOKEN in self.secrets else "key" if API_KEY in self.secrets else ""

    def source(self, table: str) -> Source | None:
        """Return the camera, microphone or speaker in the file; None if the file names none."""
        named = self._table(table).keys() & {"source", "device"}
        return self.effective(table) if named else None

    def effective(self, table: str) -> Source:
        """Return the camera, microphone or speaker in the file, or the default one."""
        return Source(source=self.text_of(table, "source") or _DEFAULTS[table], device=self.text_of(table, "device"))

    @property
    def holds_secret(self) -> bool:
        """Return whether the text itself contains a secret."""
        return bool(self.text_of("credentials", "api_secret"))

    def _table(self, name: str) -> dict[str, Any]:
        table = self.data.get(name, {})
        return table if isinstance(table, dict) else {}


def read(folder: Path) -> Present:
    """Return the present state. Raises ConfigError for mistakes in keys that setup does not ask about."""
    path = folder / DEFAULT_PATH.name
    secrets = frozenset(name for name in SECRETS if _is_file(folder / CREDENTIALS / name))
    try:
        data, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return Present(secrets=secrets)
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from None
    _demand_sound(path)
    text = data.removeprefix(codecs.BOM_UTF8).decode()
    found = Present(text=text, data=tomllib.loads(text), secrets=secrets, mode=mode)
    hide(found.text_of("credentials", "api_secret"))
    return found


def _demand_sound(path: Path) -> None:
    """Raise ConfigError for mistakes in keys that setup does not ask about."""
    try:
        loading.load(path)
    except ConfigError as error:
        if problems := list(_others(path, error.problems)):
            raise ConfigError(*problems) from None


def _others(path: Path, problems: Iterable[Problem]) -> Iterable[Problem]:
    for each in problems:
        place = each.place.removeprefix(f"{path}: ")
        # A problem of the whole file, such as invalid TOML, has no key.
        if place.partition(".")[0] not in _ANSWERED:
            yield each


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
