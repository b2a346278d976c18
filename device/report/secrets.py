"""Registers all secrets of this machine's configuration, so that they are redacted in every section."""

from __future__ import annotations

import contextlib
import copy
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from device.config.layers import drop_ins
from device.config.places import PREFIX
from device.errors import ConfigError
from device.redaction import MARK, hide
from device.stream_url import secrets_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_BYTES = 64 << 10
_CREDENTIALS, _NETWORK = "credentials", "network"
_SECRET_KEYS = ("api_secret", "api_key")
_FILE_KEYS = ("token_file", "api_secret_file", "endpoint_headers_file")
_SCHEMES = frozenset({"bearer", "basic", "digest"})
_SYSTEMD = "livekit_"  # systemd's prefix for the name of each file that it loads


def learn(config: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Read the configuration, its files, the folders of credentials and the environment."""
    for path in (config, *files_beside(config)):
        _learn_tables(path)
    folders = [config.parent / _CREDENTIALS]
    if given := environment.get("CREDENTIALS_DIRECTORY"):
        folders.append(Path(given))
    for folder in folders:
        for path in _files(folder):
            _hide_file(path)
    _learn_variables(config, environment)


def files_beside(config: Path) -> list[Path]:
    """Return the configuration's other files; none if their folder cannot be read."""
    with contextlib.suppress(ConfigError):
        return drop_ins(config)
    return []


def _learn_tables(path: Path) -> None:
    data = _tables_of(path)
    table = data.get(_CREDENTIALS)
    if isinstance(table, dict):
        for key in _SECRET_KEYS:
            _hide(table.get(key))
        _hide_query(table.get("endpoint"))
        for key in _FILE_KEYS:
            if isinstance(name := table.get(key), str) and name:
                _hide_file(path.parent / name)
    network = data.get(_NETWORK)
    if isinstance(network, dict):
        _hide_url(network.get("proxy"))
        if isinstance(name := network.get("proxy_file"), str) and name:
            _hide_proxy_file(path.parent / name)
    for each in _captures(data):
        _hide_url(each.get("url"))
        if isinstance(name := each.get("url_file"), str) and name:
            _hide_file(path.parent / name)
            for line in _text(path.parent / name).splitlines():
                _hide_url(line.strip())


def _hide_proxy_file(path: Path) -> None:
    _hide_file(path)
    for line in _text(path).splitlines():
        _hide_url(line.strip())


def _captures(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each table of a camera or microphone."""
    for kind in ("camera", "microphone"):
        named = data.get(f"{kind}s")
        for each in (data.get(kind), *(named.values() if isinstance(named, dict) else ())):
            if isinstance(each, dict):
                yield each


def _hide_url(url: object) -> None:
    if isinstance(url, str) and url:
        with contextlib.suppress(ValueError):
            for each in secrets_of(url):
                _hide(each)


def _learn_variables(config: Path, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        key = name.upper().removeprefix(f"{PREFIX}CREDENTIALS__").lower()
        if name.upper().startswith(PREFIX) and name.upper().endswith(("__URL", "__PROXY")):
            _hide_url(value)
        if name.upper() == f"{PREFIX}NETWORK__PROXY_FILE" and value:
            _hide_proxy_file(config.parent / value)
        if key in _SECRET_KEYS:
            _hide(value)
        elif key == "endpoint":
            _hide_query(value)
        elif key in _FILE_KEYS and value:
            _hide_file(config.parent / value)


def _tables_of(config: Path) -> dict[str, Any]:
    """Return the tables of a file; empty if it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return tomllib.loads(config.read_bytes()[:_MAX_BYTES].decode("utf-8-sig"))
    return {}


def credentials_of(config: Path) -> dict[str, Any]:
    """Return the table of credentials; empty if the file has none or cannot be read."""
    table = _tables_of(config).get(_CREDENTIALS)
    return table if isinstance(table, dict) else {}


def masked(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with masked secrets; an empty value stays, because it is a hint at mistakes."""
    result: dict[str, Any] = copy.deepcopy(dict(data))
    for each in _captures(result):
        if each.get("url"):
            each["url"] = MARK
    network = result.get(_NETWORK)
    if isinstance(network, dict) and network.get("proxy"):
        network["proxy"] = MARK
    table = result.get(_CREDENTIALS)
    if isinstance(table, dict):
        for key in _SECRET_KEYS:
            if table.get(key):
                table[key] = MARK
        if isinstance(endpoint := table.get("endpoint"), str):
            table["endpoint"] = without_query(endpoint)
    return result


def without_query(url: str) -> str:
    head, sign, _ = url.partition("?")
    return f"{head}?{MARK}" if sign else url


def _files(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(folder.iterdir())


def _text(path: Path) -> str:
    """Return the text of a file; empty if it cannot be read."""
    with (
        contextlib.suppress(OSError),
        open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file,
    ):
        return file.read(_MAX_BYTES).decode("utf-8-sig", errors="replace")
    return ""


def _hide_file(path: Path) -> None:
    """Hide the content of a file: a single value, or lines with headers."""
    for line in _text(path).splitlines():
        if path.name.removeprefix(_SYSTEMD) == "endpoint_headers" or "header" in path.name:
            line = line.partition(":")[2]  # noqa: PLW2901
        _hide(line)
        for word in line.split():  # in `Bearer abc`, the second word is the secret
            if word.lower() not in _SCHEMES:
                _hide(word)


def _hide(value: object) -> None:
    if isinstance(value, str) and value.strip():
        hide(value.strip().strip("\"'"))


def _hide_query(url: object) -> None:
    if not isinstance(url, str):
        return
    with contextlib.suppress(ValueError):
        query = urlsplit(url).query
        _hide(query)
        for _, value in parse_qsl(query):
            _hide(value)
