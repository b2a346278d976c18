"""Reads a TOML file, and says where a broken one is wrong."""

from __future__ import annotations

import codecs
import os
import re
import stat
import tomllib
from typing import TYPE_CHECKING, Any

from device.config.places import DEFAULT_PATH, PATH_VARIABLE
from device.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 64 << 10
"""The most bytes of a file beside the main one."""
_TYPOGRAPHIC = "\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"


def read(path: Path) -> bytes:
    """Return the content of the main file, which may be a pipe. Raises ConfigError that names the path."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            Problem(
                str(path),
                f"there is no such file; name one with --config or ${PATH_VARIABLE}, or put it at {DEFAULT_PATH}",
            )
        ) from None
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from None


def read_regular(path: Path) -> bytes:
    """Return the content of a further file. Raises ConfigError, also for a pipe, which would block for ever."""
    try:
        # O_NONBLOCK: to open a pipe would block as well.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(Problem(str(path), "is not a regular file"))
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from None
    if len(data) > MAX_BYTES:
        raise ConfigError(Problem(str(path), f"is too large; allowed: {MAX_BYTES} bytes at most"))
    return data


def parsed(path: Path, data: bytes) -> dict[str, Any]:
    """Return the tables of TOML text, with or without a byte order mark. Raises ConfigError that names the path."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(Problem(str(path), "is UTF-16 text, as some editors of Windows save it; save it as UTF-8"))
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            Problem(str(path), f"is not UTF-8 text (byte {error.start}, in line {line}); save it as UTF-8")
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(Problem(str(path), f"is not valid TOML: {error}{_typography(text, str(error))}")) from None
    except RecursionError:
        raise ConfigError(Problem(str(path), "is not valid TOML: it is nested too deeply")) from None


def _typography(text: str, complaint: str) -> str:
    """Return where a typographic quote is in the line of a TOML error, as word processors insert them."""
    match = re.search(r"at line (\d+)", complaint)
    lines = text.rstrip().split("\n")
    number = int(match[1]) if match else len(lines)
    for column, character in enumerate(lines[number - 1], start=1) if number <= len(lines) else ():
        if character in _TYPOGRAPHIC:
            place = f"line {number}, column {column}"
            return f'; {place} is a typographic quote ({character}); allowed are straight ones (")'
    return ""
