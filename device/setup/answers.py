"""The answers, and the changes that they make to the configuration and the files with secrets. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device.config.writing import SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.setup.toml_edit import Value

TOKEN, API_KEY, API_SECRET, HEADERS = SECRETS
_CREDENTIAL_KEYS = ("token_file", "endpoint", "endpoint_headers_file", "api_key", "api_secret", "api_secret_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A project's key and secret."""

    key: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyToken:
    """A token from another program."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """A service that issues tokens, and the HTTP headers that it needs, one on each line."""

    url: str = field(repr=False)
    headers: str = field(default="", repr=False)


TokenOrigin = KeyPair | ReadyToken | TokenEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A camera, microphone or speaker: `source` and `device` of its table."""

    source: str
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """None: the present value stays."""

    url: str | None = None
    origin: TokenOrigin | None = None
    room: str | None = None
    display_name: str | None = None
    identity: str | None = None
    camera: Source | None = None
    microphone: Source | None = None
    speaker: Source | None = None


def changes(answers: Answers, present: Mapping[str, Any]) -> dict[tuple[str, str], Value]:
    """Return each (table, key) that has to be set in a configuration that holds `present` now."""
    wanted: dict[tuple[str, str], Value] = {}
    for key in ("url", "display_name", "identity"):
        _add(wanted, ("room", key), getattr(answers, key))
    _add(wanted, ("room", "name"), answers.room)
    sources = {"camera": answers.camera, "microphone": answers.microphone, "speaker": answers.speaker}
    for table, source in sources.items():
        if source is not None:
            wanted[table, "source"], wanted[table, "device"] = source.source, source.device
    if answers.origin is not None:
        wanted |= dict.fromkeys((("credentials", key) for key in _CREDENTIAL_KEYS), "")
        if isinstance(answers.origin, TokenEndpoint):
            wanted["credentials", "endpoint"] = answers.origin.url
    # The default of each of these keys is an empty text, so a key that is not in the file is not added.
    return {
        (table, key): value
        for (table, key), value in wanted.items()
        if value != _table(present, table).get(key, "") and _as_list(value) != _table(present, table).get(key)
    }


def secret_files(answers: Answers) -> dict[str, str | None]:
    """Return the content of each file with a secret; None: the file is removed. Empty: no file changes."""
    if answers.origin is None:
        return {}
    match answers.origin:
        case KeyPair(key=key, secret=secret):
            files = {API_KEY: key, API_SECRET: secret}
        case ReadyToken(token=token):
            files = {TOKEN: token}
        case TokenEndpoint(headers=headers):
            files = {HEADERS: headers} if headers else {}
    return {name: f"{files[name].rstrip()}\n" if name in files else None for name in SECRETS}


def _add(wanted: dict[tuple[str, str], Value], place: tuple[str, str], value: str | None) -> None:
    if value is not None:
        wanted[place] = value


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = data.get(name, {})
    return table if isinstance(table, dict) else {}


def _as_list(value: Value) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
