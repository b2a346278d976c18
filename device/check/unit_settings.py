"""Reads the sandbox of a service from its unit file. Pure."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The sandbox and environment of a process (systemd.exec(5), systemd.resource-control(5)). Settings for start and stop,
# and those that affect the running service, such as RuntimeDirectory=, are left out.
_SURROUNDINGS = frozenset(
    (
        "User",
        "Group",
        "SupplementaryGroups",
        "DynamicUser",
        "WorkingDirectory",
        "RootDirectory",
        "RootImage",
        "StateDirectory",
        "StateDirectoryMode",
        "CacheDirectory",
        "CacheDirectoryMode",
        "ConfigurationDirectory",
        "ConfigurationDirectoryMode",
        "LoadCredential",
        "LoadCredentialEncrypted",
        "SetCredential",
        "SetCredentialEncrypted",
        "ImportCredential",
        "Environment",
        "EnvironmentFile",
        "PassEnvironment",
        "UnsetEnvironment",
        "InaccessiblePaths",
        "ReadOnlyPaths",
        "ReadWritePaths",
        "ExecPaths",
        "NoExecPaths",
        "BindPaths",
        "BindReadOnlyPaths",
        "TemporaryFileSystem",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "NoNewPrivileges",
        "SecureBits",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "ProcSubset",
        "RemoveIPC",
        "KeyringMode",
        "UMask",
        "Personality",
        "SystemCallArchitectures",
        "SystemCallFilter",
        "SystemCallErrorNumber",
        "DevicePolicy",
        "DeviceAllow",
        "IPAddressAllow",
        "IPAddressDeny",
    )
)
_FAMILIES = ("Limit", "Private", "Protect", "Restrict")
HIDING = (
    "ProtectHome",
    "PrivateTmp",
    "InaccessiblePaths",
    "TemporaryFileSystem",
    "BindPaths",
    "BindReadOnlyPaths",
)  # they decide which paths a service sees
_YES = frozenset({"yes", "true", "on", "1", "y", "t"})
_HOMES = ("/home", "/root", "/run/user")  # systemd.exec(5), ProtectHome=
_TEMPORARY = ("/tmp", "/var/tmp")  # PrivateTmp=  # noqa: S108  # names, nothing is written there
_PREFIXES = "-+"  # may be missing; relative to the root directory
_EXECUTABLE_PREFIXES = "@-:+!|"

Settings = tuple[tuple[str, str], ...]


def service_settings(text: str) -> Settings:
    """Return the assignments in all [Service] sections, in order, from the output of `systemctl cat`."""
    found, section = [], ""
    for line in _whole_lines(text):
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line:
            key, _, value = line.partition("=")
            found.append((key.strip(), value.strip()))
    return tuple(found)


def surroundings(settings: Settings) -> list[str]:
    """Return the assignments that make the sandbox, in the form that `systemd-run --property=` takes."""
    return [f"{key}={value}" for key, value in settings if key in _SURROUNDINGS or key.startswith(_FAMILIES)]


def program(settings: Settings) -> str:
    """Return the file that the service runs; empty if there is none."""
    words = shlex.split(_last(settings, "ExecStart"))
    return words[0].lstrip(_EXECUTABLE_PREFIXES) if words else ""


def user(settings: Settings) -> str:
    return _last(settings, "User") or "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Covered:
    """A folder that is hidden from the service. With `bindable`, a bind mount can make a part of it visible."""

    folder: str
    bindable: bool


def hiding_folder(path: str, settings: Settings) -> str:
    """Return the hidden folder that contains a path; empty if the service may see the path."""
    wanted = posixpath.normpath(path)
    shown = [_destination(word) for key in ("BindPaths", "BindReadOnlyPaths") for word in _words(settings, key)]
    for covered in _covered(settings):
        if _within(wanted, covered.folder) and not (
            covered.bindable and any(_within(wanted, each) and _within(each, covered.folder) for each in shown)
        ):
            return covered.folder
    return ""


def _covered(settings: Settings) -> Iterator[_Covered]:
    home = _last(settings, "ProtectHome").lower()
    if home in _YES or home == "tmpfs":
        yield from (_Covered(folder=each, bindable=home == "tmpfs") for each in _HOMES)
    if _last(settings, "PrivateTmp").lower() in _YES | {"disconnected"}:
        yield from (_Covered(folder=each, bindable=True) for each in _TEMPORARY)
    for word in _words(settings, "InaccessiblePaths"):
        yield _Covered(folder=posixpath.normpath(word.lstrip(_PREFIXES)), bindable=False)
    for word in _words(settings, "TemporaryFileSystem"):
        yield _Covered(folder=posixpath.normpath(word.partition(":")[0]), bindable=True)


def _destination(word: str) -> str:
    parts = word.lstrip(_PREFIXES).split(":")
    return posixpath.normpath(parts[1] if len(parts) > 1 and parts[1] else parts[0])


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _words(settings: Settings, key: str) -> list[str]:
    """Return the words of a list setting: each assignment adds words, and an empty one clears the list."""
    words: list[str] = []
    for name, value in settings:
        if name == key:
            words = [*words, *shlex.split(value)] if value else []
    return words


def _last(settings: Settings, key: str) -> str:
    return next((value for name, value in reversed(settings) if name == key and value), "")


def _whole_lines(text: str) -> Iterator[str]:
    """Join lines that a backslash continues; comments are ignored, also between such lines (systemd.syntax(7))."""
    pending = ""
    for line in _without_comments(text.splitlines()):
        pending += line
        if pending.endswith("\\"):
            pending = f"{pending[:-1]} "
        else:
            yield pending.strip()
            pending = ""
    if pending:
        yield pending.strip()


def _without_comments(lines: Iterable[str]) -> Iterator[str]:
    return (line for line in lines if not line.lstrip().startswith(("#", ";")))
