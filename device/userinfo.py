"""Removes user and password from URLs in a text. Pure, and linear in the length of the text.

A password may contain an @, a slash or a space, although a URL must not: everything before the last @ that may belong
to the URL counts as userinfo.
"""

from __future__ import annotations

import re
from itertools import zip_longest

MARK = "[redacted]"

# Also with one slash, because pathlib removes the other. In JSON a slash may be escaped.
_START = re.compile(r"(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}+)?:(?:\\{0,4}/){1,2}", re.IGNORECASE)
_ENCODED = re.compile(r"(%(?:25){0,3}3a(?:%(?:25){0,3}2f){1,2})([^\s\"'<>&]++)", re.IGNORECASE)
_ENCODED_AT = re.compile(r"%(?:25){0,3}40")
# A host with an optional port, which is not followed by anything that makes it a user with a password.
_HOST = re.compile(
    r"(?:\[[\w:.%]*+\]|[^\s/?#@:\"'<>\\,;%]*+)(?::(?:\d{1,5}+|port)(?![\w@%])|:(?=$|[\s\"'<>\\),;{$])|(?![\w@%:\[]))",
    re.IGNORECASE,
)
# A name with a dot is a host. A name without one may be a user whose password begins like a port.
_SURE_HOST = re.compile(r"\[|localhost\b|[^\s/:]*\.", re.IGNORECASE)
_RUN = re.compile(r"[^\s\"'<>]*+")
_AUTHORITY = re.compile(r"[^\s/?#\"'<>\\]*+")
_REGION_CHARACTERS = 1024
_WORD = re.compile(r"\S++")
# user:password@host without a scheme.
_USER = re.compile(r"(?<![\w.+%-])[\w.+%-]++:(?=[^\s@:/\\])")


def removed(text: str) -> str:
    """Return the text with a mark in place of each user and password."""
    if "%40" in text or "2540" in text:
        text = _ENCODED.sub(_decoded_mark, text)
    if "/" in text:
        text = _without_userinfo(text)
    if "@" in text:
        text = _WORD.sub(lambda found: _without_user(found[0]) if "@" in found[0] else found[0], text)
    return text


def _decoded_mark(found: re.Match[str]) -> str:
    signs = list(_ENCODED_AT.finditer(found[2]))
    return f"{found[1]}{MARK}@{found[2][signs[-1].end() :]}" if signs else found[0]


def _without_userinfo(text: str) -> str:
    pieces, done = [], 0
    starts = list(_START.finditer(text))
    for found, other in zip_longest(starts, starts[1:]):
        start = found.end()
        if found.start() < done:  # inside a removed part
            continue
        stop = min(len(text), start + _REGION_CHARACTERS)
        if other is not None and other.start() < stop and _is_start_of_word(text, other.start()):
            stop = other.start()
        if (newline := text.find("\n", start, stop)) >= 0:
            stop = newline
        single = found[0].count("/") == 1
        if (end := (_end_of_path_like if single else _end)(text, start, stop)) is not None:
            pieces += [text[done:start], MARK]
            done = end
    return "".join((*pieces, text[done:]))


def _is_start_of_word(text: str, at: int) -> bool:
    before = text[max(0, at - 2) : at]
    return before[-1:].isspace() or (before[:1].isspace() and before[-1:] in "\"'([{<")


def _end(text: str, start: int, stop: int) -> int | None:
    """Return the end of the userinfo that begins at `start`; None if there is none."""
    run_end = _matched_to(_RUN, text, start, stop)
    host = _HOST.match(text, start, stop)
    if host is not None:
        if ":" not in host[0]:
            return None  # an @ in the path does not end a userinfo
        sentence = not host[0].endswith(":") or text[host.end() : host.end() + 1].strip() == ""
        sure = sentence and _SURE_HOST.match(host[0]) is not None
        at = text.rfind("@", start, run_end if sure else stop)
        return at if at >= 0 and not host[0].startswith("[") else None
    if (at := text.rfind("@", start, stop)) >= 0:
        return at
    authority = text[start : _matched_to(_AUTHORITY, text, start, stop)]
    if signs := list(_ENCODED_AT.finditer(authority)):
        return start + signs[-1].start()
    # No host follows, so the text was truncated: a password without its @.
    return run_end if ":" in authority else None


def _end_of_path_like(text: str, start: int, stop: int) -> int | None:
    """Return the same as `_end` for a URL with one slash, which is usually a path."""
    authority = text[start : _matched_to(_AUTHORITY, text, start, stop)]
    at = text.rfind("@", start, _matched_to(_RUN, text, start, stop))
    return at if at >= 0 and (":" in authority or "@" in authority) else None


def _matched_to(pattern: re.Pattern[str], text: str, start: int, stop: int) -> int:
    found = pattern.match(text, start, stop)
    return found.end() if found else start


def _without_user(word: str) -> str:
    """Return a word without the user:password of user:password@host."""
    at = word.rfind("@")
    found = _USER.search(word, 0, at)
    return f"{word[: found.start()]}{MARK}{word[at:]}" if found and word[at + 1 :] else word
