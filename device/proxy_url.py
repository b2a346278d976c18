"""URLs of HTTP proxies: which ones are allowed. No text contains a URL, because it may hold a password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from device.redaction import hide

_SCHEMES = {"http": 80, "https": 443}  # the SDK speaks plain HTTP with both
_MAX_PORT = 65535
_ALLOWED = "allowed is http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
# The SDK percent-encodes all other characters, and the proxy then gets a wrong password.
_SENDABLE = re.compile(r"[A-Za-z0-9!$%&'()*+,._~-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyUrl:
    """The parts of a proxy's URL; the host in ASCII."""

    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def parsed(text: str) -> ProxyUrl:
    """Return the parts of a URL, whose scheme may be missing.

    Raises ValueError, whose text says what is allowed, without the URL.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        default_port = _SCHEMES[parts.scheme]
        found = ProxyUrl(
            host=(parts.hostname or "").encode("idna").decode(),
            port=default_port if parts.port is None else parts.port,
            user=unquote(parts.username or "", errors="strict"),
            password=unquote(parts.password or "", errors="strict"),
        )
    except KeyError:
        raise ValueError(f"is not an HTTP proxy; {_ALLOWED}") from None
    except ValueError:
        raise ValueError(f"is not a URL; {_ALLOWED}") from None
    hide(found.password)
    if not re.fullmatch(r"[\w.:%-]+", found.host) or not 0 < found.port <= _MAX_PORT:
        raise ValueError(f"is not a URL; {_ALLOWED}")
    if not _SENDABLE.fullmatch(found.user) or not _SENDABLE.fullmatch(found.password):
        raise ValueError(
            "has a user or password with a character that the LiveKit SDK cannot send; "
            "allowed are letters, digits and ! $ % & ' ( ) * + , . _ ~ -"
        )
    return found
