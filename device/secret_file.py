"""Reads a token, a key or a secret from a file, and reports what is wrong with an unusable file."""

from __future__ import annotations

import codecs
import re
import stat
from typing import TYPE_CHECKING

from device.errors import CredentialError
from device.redaction import hide

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 64 << 10
# A value with a name, as in an env file: LIVEKIT_API_SECRET=abc, api_secret = "abc" or token: abc.
_NAMED = re.compile(r"(?i)(?:export\s+)?([a-z_][a-z0-9_]*(?:secret|token|key)|secret|token|key)\s*[=:]\s*\S")
_QUOTES = "\"'`"


def read_secret(path: Path) -> str:
    """Return the file's content, without surrounding white space and a byte order mark.

    Raises CredentialError, whose text does not contain the content. The caller reads the file again before each join,
    because another service may write it later.
    """
    text = read_text(path, "a token or key").strip()
    if not text:
        raise CredentialError(f"{path}: is empty")
    if match := _NAMED.match(text):
        raise CredentialError(f"{path}: holds {match[1]}=...; allowed: the value alone, without a name before it")
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        raise CredentialError(f"{path}: holds a value in quotes; allowed: the value alone, without quotes")
    if len(text.split()) > 1:
        raise CredentialError(f"{path}: holds more than one word; allowed: the value alone")
    hide(text)
    return text


def read_text(path: Path, what: str) -> str:
    """Return the text of an ASCII file, without a byte order mark. Raises CredentialError, which names the file."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise CredentialError(f"{path}: cannot be read: {error.strerror}") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and len(data) % 2 == 0:
        raise CredentialError(f"{path}: is UTF-16 text; save it as UTF-8")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("ascii")
    except UnicodeDecodeError:
        raise CredentialError(f"{path}: is not {what} (it has bytes that are not ASCII)") from None


def readable_by_others(path: Path) -> str:
    """Return the mode of a file that every user may read, such as 0644; empty if other users may not read it."""
    try:
        mode = path.stat().st_mode
        reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.absolute().parents)
    except OSError:
        return ""
    return f"{stat.S_IMODE(mode):04o}" if mode & stat.S_IROTH and reachable else ""
