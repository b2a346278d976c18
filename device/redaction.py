"""Takes secrets out of text that leaves the process: tokens, URL userinfo, and values that are known to be secret.

Linear in the length of the text, because it runs on every log line. It may remove too much, never too little.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

MARK = "[redacted]"
_MIN_SECRET = 6  # a shorter value would be found in ordinary words
_MAX_SECRETS = 64
# A JWT is three base64url parts, of which the first begins with {" ; a cut one has two.
# Without a dot it is none; the run is consumed all the same, so that no text is scanned twice.
_JWT = re.compile(r"eyJ[\w-]*+(\.[\w-]++(?:\.[\w-]*+)?)?")
_NAMES = (
    r"access[_-]?token|participant[_-]?token|api[_-]?key|api[_-]?secret|secret|password|passwd|pass|pwd|token|key|"
    r"sig|signature|auth|credentials?"
)
# name=value in a query, in a shell or in a log line, and "name": "value" in JSON, also inside a JSON string.
_ASSIGNED = re.compile(rf"(?i)((?<![a-z0-9])(?:{_NAMES})(?:=|%3d))[^\s&\"'#\\,;)\]}}]++")
_MEMBER = re.compile(rf"(?i)(\\{{0,4}}[\"'](?:{_NAMES})\\{{0,4}}[\"']\s*:\s*\\{{0,4}}[\"'])[^\"'\\]++")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization\s*[:=]\s*|\bbearer\s+|\bbasic\s+(?=[a-z0-9+/]{6}))"
    r"(?:(?:bearer|basic|digest)\s+)?[^\s\"',\\]++"
)
_SPACE = re.compile(r"(\s+)")
_ENCODED_URL = re.compile(r"(?i)(%3a%2f%2f)(?=\S*%40)\S*%40")
_OPENING = "([{<\"'="

_secrets: dict[str, None] = {}


def hide(secret: str) -> None:
    """Remove this value from all text from now on: a token, key or password that the process has read."""
    if len(secret) < _MIN_SECRET:
        return
    for form in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}:
        _secrets.pop(form, None)
        _secrets[form] = None
    while len(_secrets) > _MAX_SECRETS:
        del _secrets[next(iter(_secrets))]


def redacted(text: str) -> str:
    """Return the text without secrets."""
    for secret in tuple(_secrets):
        if secret in text:
            text = text.replace(secret, MARK)
    text = _JWT.sub(lambda found: MARK if found[1] else found[0], text)
    text = _ASSIGNED.sub(rf"\1{MARK}", text)
    text = _MEMBER.sub(rf"\1{MARK}", text)
    text = _HEADER.sub(rf"\1{MARK}", text)
    if "%40" in text:
        text = _ENCODED_URL.sub(rf"\1{MARK}@", text)
    if "@" in text:
        text = "".join(_without_userinfo(word) if "@" in word else word for word in _SPACE.split(text))
    return text


def _without_userinfo(word: str) -> str:
    """Return a word in which nothing stands before the @ of a URL or of user:password@host."""
    start, at = word.find("://"), word.rfind("@")
    if 0 <= start < at:
        return f"{word[: start + 3]}{MARK}{word[at:]}"
    colon = word.rfind(":", 0, at)
    if colon <= 0 or not word[at + 1 :]:
        return word
    begin = max((word.rfind(each, 0, colon) for each in _OPENING), default=-1) + 1
    return f"{word[:begin]}{MARK}{word[at:]}"
