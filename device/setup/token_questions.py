"""The questions about the token: its source, and the values for that source. Secrets are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from device.setup.answers import KeyPair, ReadyToken, TokenEndpoint

if TYPE_CHECKING:
    from device.setup.answers import TokenOrigin
    from device.setup.present import Present
    from device.setup.terminal import Terminal

_ORIGINS = ("key", "token", "endpoint")
_ORIGIN_LABELS = {
    "key": "an API key and its secret: the device makes its own tokens",
    "token": "a ready token, which has an expiry date",
    "endpoint": "a token endpoint: your own service that issues tokens",
}


def ask_token(
    terminal: Terminal, here: Present, origin: TokenOrigin | None, room: str | None
) -> tuple[TokenOrigin | None, str]:
    """Return the token source, None to keep the present one, and the room. `origin` and `room` are earlier answers."""
    present = here.origin
    terminal.say("The device joins a room with a token.")
    order = sorted(_ORIGINS, key=lambda each: each != present)
    labels = [_ORIGIN_LABELS[each] + (" (present)" if each == present else "") for each in order]
    kind = order[terminal.choose("Where does it come from?", labels)]
    before = room if room is not None else here.text_of("room", "name")
    keeps = kind == present
    if kind == "key":
        name = terminal.ask("Room", default=before, check=lambda each: "" if each else "is empty")
        return _ask_key(terminal, origin if isinstance(origin, KeyPair) else None, keeps=keeps), name
    if kind == "token":
        token = terminal.ask_secret("Token", may_keep=keeps)
        # The token contains room and identity.
        return (ReadyToken(token=token) if token else None), "" if token else before
    name = terminal.ask("Room (empty: the endpoint decides)", default=before)
    url = terminal.ask(
        "Endpoint",
        shown="Enter keeps the present one" if keeps else "",
        check=lambda each: "" if keeps and not each else _endpoint_problem(each),
    )
    if not url:
        return None, name
    headers = _ask_headers(terminal)
    return TokenEndpoint(url=url, headers=headers), name


def _endpoint_problem(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must be a URL that begins with https:// or http://"
    return "must not contain a user or a password; use headers" if parts.username is not None else ""


def _ask_key(terminal: Terminal, typed: KeyPair | None, *, keeps: bool) -> KeyPair | None:
    """Ask for key and secret; None keeps both, because a new key has a new secret. `typed` has failed."""
    key = terminal.ask(
        "API key",
        default=typed.key if typed else "",
        shown="Enter repeats the last one" if typed else "Enter keeps key and secret" if keeps else "",
        check=lambda each: "" if each or keeps else "is empty",
    )
    if not key:
        return None
    same = typed is not None and typed.key == key
    secret = terminal.ask_secret("API secret", may_keep=same)
    return KeyPair(key=key, secret=secret or (typed.secret if typed else ""))


def _ask_headers(terminal: Terminal) -> str:
    """Ask for HTTP headers, each of them a secret."""
    lines = []
    while name := terminal.ask("Name of an HTTP header that the endpoint needs (empty: no more)"):
        lines.append(f"{name}: {terminal.ask_secret(f'Value of {name}')}")
    return "\n".join(lines)
