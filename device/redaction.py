"""Removes secrets from text that leaves the process: tokens, URL userinfo, and values that are known to be secret.

It is linear in the length of the text, because it runs on every log line. If in doubt, it removes the value.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from device import userinfo
from device.userinfo import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MARK", "hide", "public_text", "redacted", "without_secrets"]

_MIN_SECRET = 6  # a shorter value may occur in ordinary words
_MAX_SECRETS, _MAX_TOKENS = 64, 32
_DEPTH = 4
_MAX_PUBLIC_CHARACTERS = 200
# What the name of a secret ends with, however it is composed: clientSecret, X-Auth-Token, DEVICE_CREDENTIALS__API_KEY.
_SURE = r"(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|signature|jwt)"
# _LIKELY: a secret's name before an equals sign or a quoted value, but elsewhere an ordinary word.
# _QUERY: a secret's name in a URL's query only.
_LIKELY = r"(?<![a-z0-9])(?:pass|pw|pwd|sig|auth)"
_QUERY = r"(?<![a-z0-9])credentials?|(?:(?<=[?&;#])|(?<=%3f)|(?<=%26))(?:key|code|sid|session(?:_?id)?|hash)"
_QUOTE = r"\\{0,4}[\"']"
_SEPARATOR = rf"(?:{_QUOTE})?[ \t]{{0,4}}"
# name = "value", and "name": "value" as in JSON and Python. With escaped quotes, up to the next escaped quote.
_QUOTED = re.compile(
    rf"(?i)((?:{_SURE}|{_LIKELY}){_SEPARATOR}[=:][ \t]{{0,4}}(?:b(?=[\"']))?)"
    r"(?:\\{1,4}(?P<inner>[\"'])(?:(?!(?P=inner))[^\\\n]|\\(?!\\{0,3}(?P=inner)))*+"
    r"|(?P<outer>[\"'])(?:\\.|(?!(?P=outer))[^\\\n])*+)"
)
# name=value, up to the next query parameter, the next field of a list, or a space.
_ASSIGNED = re.compile(
    rf"(?i)((?:{_SURE}|{_LIKELY}|{_QUERY}){_SEPARATOR}(?:=|(?P<encoded>%3d))[ \t]{{0,4}})"
    r"(?![\"']|\[redacted\])(?:[^\s&\"'\\,;)\]}%]|%(?(encoded)(?!26))|\\(?![\"'])|[\"'](?=\w)|[,;](?=\S)(?![\w.-]{1,40}=)"
    r"|[)\]}](?=[^\s,;)\]}\"']))++"
)
# name: value, if the value has a digit or is long, and so is not a word of a sentence.
_NAMED = re.compile(rf"(?i)({_SURE}[ \t]{{0,4}}:[ \t]{{1,4}})(?=\S{{0,20}}\d|[^\s/]{{20}})[\w+.~][^\s\"'<>\\]{{5,}}+")
_HEADERS = re.compile(
    r"(?i)(\b(?:(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]{0,40}?(?:token|key|secret|auth))"
    rf"{_SEPARATOR}[:=][ \t]{{0,4}}(?:b(?=[\"']))?)(?:{_QUOTE}[^\"'\\\n]++|[^\s\"'\\][^\"'\\\n]*+)"
)
# An authentication scheme and its value, but not "Basic authentication" in a sentence.
_SCHEME = re.compile(r"\b((?i:bearer|basic)[ \t]{1,4})(?=[\w.~+/-]{0,80}?(?:\d|[a-z][A-Z]|=))[\w.~+/=-]{4,}+")
_WORD = re.compile(r"[\w.-]++")
_HINTS = re.compile(
    r"(?i)token|secret|pass|key|sign|sig|auth|jwt|pw|cookie|bearer|basic|digest|credential|[?&;#]|%3f|%26"
)
_JWT_START = "eyJ"  # base64 of {" , with which each part of a JWT except the last begins
_MIN_PART = 20
_SECRET_NAME = re.compile(rf"(?i)(?:.*{_SURE}|(?:.*[^a-z0-9])?(?:pass|pwd|authorization|auth))")

_secrets: dict[str, tuple[str, ...]] = {}


def hide(secret: str) -> None:
    """Redact this value in all text from now on. The value is a token, key or password that the process has read."""
    if len(secret) < _MIN_SECRET:
        return
    _secrets.pop(secret, None)
    _secrets[secret] = tuple(sorted(set(_forms(secret)), key=len, reverse=True))
    # Each join adds a new token, which must not displace a secret that is read once.
    tokens = [each for each in _secrets if each.startswith(_JWT_START)]
    for each in (*tokens[:-_MAX_TOKENS], *list(_secrets)[:-_MAX_SECRETS]):
        _secrets.pop(each, None)


def redacted(text: str) -> str:
    """Return the text without secrets."""
    for forms in tuple(_secrets.values()):
        for form in forms:
            if form in text:
                text = text.replace(form, MARK)
    if _JWT_START in text:
        text = _WORD.sub(lambda found: _without_token(found[0]), text)
    if _HINTS.search(text):
        text = _HEADERS.sub(_marked, text)
        text = _QUOTED.sub(_marked, text)
        text = _ASSIGNED.sub(rf"\1{MARK}", text)
        text = _NAMED.sub(rf"\1{MARK}", text)
        text = _SCHEME.sub(rf"\1{MARK}", text)
    return userinfo.removed(text)


def without_secrets(value: object, depth: int = 0) -> object:
    """Return a log value in types of JSON, with secrets removed from each text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict) and depth < _DEPTH:
        return {redacted(str(key)): _member(str(key), each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple) and depth < _DEPTH:
        return [without_secrets(each, depth + 1) for each in value]
    try:
        return redacted(repr(value))
    except Exception:  # an object's __repr__ may raise any type  # noqa: BLE001
        return f"<{type(value).__name__}>"


def _member(name: str, value: object, depth: int) -> object:
    if isinstance(value, str | bytes | int) and not isinstance(value, bool) and _SECRET_NAME.fullmatch(name[-80:]):
        return MARK
    return without_secrets(value, depth)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    encodable = secret.encode(errors="replace")
    for encoded in (quote(encodable, safe=""), quote(encodable), quote_plus(encodable)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)


def _marked(found: re.Match[str]) -> str:
    """Return a match with the mark in place of the value; the name, the separator and the opening quote stay."""
    value = found[0][len(found[1]) :]
    opening = re.match(r"\\{0,4}[\"']?", value)
    return f"{found[1]}{opening[0] if opening else ''}{MARK}"


def _without_token(word: str) -> str:
    """Return a word without the JWT that begins in it; the JWT may be truncated."""
    start = 0
    parts = word.split(".")
    for part, following in zip(parts, (*parts[1:], ""), strict=True):
        at = part.find(_JWT_START)
        begins = at == 0 or (at > 0 and not part[at - 1].isalnum())
        if at >= 0 and (following.startswith(_JWT_START) or (begins and (following or len(part) - at >= _MIN_PART))):
            return f"{word[: start + at]}{MARK}"
        start += len(part) + 1
    return word


def public_text(text: str, most_characters: int = _MAX_PUBLIC_CHARACTERS) -> str:
    """Return a text that everybody may read: one line of printable characters, of bounded length, without secrets."""
    shown = "".join(each if each.isprintable() else " " for each in redacted(text))
    return " ".join(shown.split())[:most_characters]
