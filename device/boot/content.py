"""Splits a file from the boot partition into a configuration and credentials, and checks both."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from device.config.environment import nearest
from device.config.loading import validated
from device.config.toml_file import parsed
from device.config.toml_text import toml_text
from device.config.writing import SECRETS
from device.errors import ConfigError, Problem
from device.redaction import hide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from device.config.effective import Config

ALLOWED = (
    "room",
    "credentials",
    "camera",
    "cameras",
    "microphone",
    "microphones",
    "network",
    "reconnect",
    "watch",
    "log",
)
"""The tables that are allowed on the boot partition. Other tables may run programs or grant control."""
REFUSED = ("hooks", "commands", "control", "remote", "metrics", "sounds", "speaker")
"""Tables that are not allowed there; some of them do not exist yet. [metrics] opens ports and writes files; [speaker]
says who may talk through the device."""

# With these keys, a person with the card could make the service send any file of this device to a server.
_FILES = {"token_file": "token", "api_secret_file": "api_secret", "endpoint_headers_file": "endpoint_headers"}
_SOURCES = ("token", "endpoint", "api_key")
_HEADING = """\
# Imported from {name} on the boot partition, by livekit-device. Comments are not copied: they may contain secrets.
# Every key with its default: /usr/share/doc/livekit-device/examples/device.toml

"""
# A line with a secret, in text that is not valid TOML.
_SECRET_LINE = re.compile(r"(?im)^[^\n=#]*(?:token|secret|key|authorization)[^\n=]*=[ \t]*(.+?)[ \t\r]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The result of the file.

    config_text: the configuration without secrets, as TOML
    secrets: the content of each file in the credentials folder; None leaves the folder unchanged
    camera_url, proxy: the URLs of [camera] and of the proxy, which may hold passwords; empty leaves the present one
    """

    config: Config
    config_text: str
    secrets: dict[str, str] | None = field(repr=False)
    camera_url: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)


def interpreted(path: Path, data: bytes, *, target: Path | None = None) -> Content:
    """Return the content of the file. Raises ConfigError with all problems, by `path` and key, without values.

    target: the configuration that it replaces; the other layers beside that one stay
    """
    try:
        tables = parsed(path, data)
    except ConfigError:
        for found in _SECRET_LINE.finditer(data.decode(errors="replace")):
            hide(found[1].strip("\"'"))
        raise
    problems = [Problem(f"{path}: {name}", _why_not(name)) for name in tables if name not in ALLOWED]
    tables = {name: table for name, table in tables.items() if name in ALLOWED}
    secrets: dict[str, str] | None = None
    if isinstance(table := tables.get("credentials"), dict):
        rest, secrets, found_problems = _split(path, table)
        problems += found_problems
        tables["credentials"] = rest
    problems += [*_relative(path, tables), *_urls(path, tables)]
    proxy = _hidden_proxy(tables)
    try:
        config = validated(path, tables, target=target)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(*problems)
    if camera_url := config.camera.url.get_secret_value() if "url" in tables.get("camera", {}) else "":
        tables["camera"] = {key: value for key, value in tables["camera"].items() if key != "url"}
    if proxy:
        tables["network"] = {key: value for key, value in tables["network"].items() if key != "proxy"}
    text = _HEADING.format(name=path.name) + toml_text(tables)
    return Content(config=config, config_text=text, secrets=secrets, camera_url=camera_url, proxy=proxy)


def _why_not(name: str) -> str:
    if name in REFUSED:
        return (
            "is not allowed on the boot partition, which everyone with the card can write; "
            "set it in /etc/livekit-device/device.toml"
        )
    return f"there is no such table{nearest(name, dict.fromkeys(ALLOWED))}"


def _split(path: Path, table: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str] | None, list[Problem]]:
    """Split the table into keys of the configuration and secrets; an empty text counts as not set."""
    set_here = {key: value for key, value in table.items() if value not in ("", {})}
    for secret in _texts({key: set_here[key] for key in SECRETS if key in set_here}):
        hide(secret)
    problems = [
        Problem(f"{path}: credentials.{key}", f"is not allowed on the boot partition; put the content into {instead}")
        for key, instead in _FILES.items()
        if key in set_here
    ]
    secrets = {}
    for key in SECRETS:
        if key in set_here:
            try:
                secrets[key] = _headers(set_here[key]) if key == "endpoint_headers" else _word(set_here[key])
            except ValueError as error:
                problems.append(Problem(f"{path}: credentials.{key}", str(error)))
    if conflict := _conflict(set_here):
        problems.append(Problem(f"{path}: credentials", conflict))
    rest = {key: value for key, value in set_here.items() if key not in SECRETS and key not in _FILES}
    return rest, secrets if any(name in set_here for name in _SOURCES) else None, problems


def _conflict(set_here: dict[str, Any]) -> str:
    sources = [name for name in _SOURCES if name in set_here]
    if len(sources) > 1:
        return f"{' and '.join(sources)} are both set; allowed is exactly one of {', '.join(_SOURCES)}"
    for key, other in (("api_key", "api_secret"), ("api_secret", "api_key"), ("endpoint_headers", "endpoint")):
        if key in set_here and other not in set_here:
            return f"{key} is set without {other}"
    return ""


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")  # noqa: TRY004  # one exception type for all wrong values
    return f"{value.strip()}\n"


def _headers(value: object) -> str:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError('must be a table of headers, such as { Authorization = "Bearer ..." }')
    return "".join(f"{name}: {text.strip()}\n" for name, text in value.items())


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value.strip()
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _urls(path: Path, tables: dict[str, Any]) -> Iterator[Problem]:
    """Hide the URLs of streams, which may hold passwords, and refuse those that have no file of their own in /etc."""
    for key, table in _capture_tables(tables):
        if isinstance(url := table.get("url"), str) and url:
            hide(url)
            if key != "camera":
                yield Problem(
                    f"{path}: {key}.url", "is not allowed on the boot partition except for [camera]; use url_file"
                )


def _hidden_proxy(tables: dict[str, Any]) -> str:
    """Hide the proxy's URL, which may hold a password, and return it; empty if there is none."""
    table = tables.get("network")
    proxy = table.get("proxy") if isinstance(table, dict) else None
    if not isinstance(proxy, str) or not proxy:
        return ""
    hide(proxy)
    return proxy.strip()


def _capture_tables(tables: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each table of a camera or microphone with its key."""
    for kind in ("camera", "microphone"):
        named = tables.get(f"{kind}s")
        candidates = {kind: tables.get(kind)}
        candidates |= {f"{kind}s.{name}": each for name, each in named.items()} if isinstance(named, dict) else {}
        yield from ((key, each) for key, each in candidates.items() if isinstance(each, dict))


def _relative(path: Path, tables: dict[str, Any]) -> list[Problem]:
    """Find relative paths: they are relative to the file, and would have another meaning in /etc."""
    found = []
    network = [("network", tables["network"])] if isinstance(tables.get("network"), dict) else []
    for name, table in (*_capture_tables(tables), *network):
        for key in ("path", "url_file", "proxy_file", "ca_file"):
            value = table.get(key)
            if isinstance(value, str) and value and "://" not in value and not PurePosixPath(value).is_absolute():
                text = "must begin with / on the boot partition, such as /var/lib/livekit-device/..."
                found.append(Problem(f"{path}: {name}.{key}", text))
    return found
