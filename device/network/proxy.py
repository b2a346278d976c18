"""Which HTTP proxy is used for a URL: $HTTPS_PROXY and $HTTP_PROXY, unless $NO_PROXY names the host.

Probe, token endpoint and SDK must agree. The SDK reads the two variables itself, but ignores $NO_PROXY: `export_for`
sets or removes them before it connects.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from device.errors import UnreachableError
from device.redaction import hide

if TYPE_CHECKING:
    from collections.abc import Mapping

_TLS_SCHEMES = frozenset({"https", "wss"})
_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PROXY_PORT = 80
# As they were when the process started: `export_for` changes them for the SDK.
_AT_START = {name: value for name, value in os.environ.items() if name.upper() in (*_VARIABLES, "NO_PROXY")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy. Its user and password are in `authorization`, the value of Proxy-Authorization."""

    host: str
    port: int
    url: str = field(repr=False)  # with user and password
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def proxy_for(url: str, environment: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy for a URL (http, https, ws or wss), or None.

    Raises UnreachableError that names the variable, not its value, if it is not a proxy that can be used.
    """
    environment = _AT_START if environment is None else environment
    parts = urlsplit(url)
    name = "HTTPS_PROXY" if parts.scheme in _TLS_SCHEMES else "HTTP_PROXY"
    value = (environment.get(name) or environment.get(name.lower()) or "").strip()
    if not value:
        return None
    excluded = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    if _excluded(parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0), excluded):
        return None
    return _parsed(name, value)


def export_for(url: str) -> Proxy | None:
    """Set the environment of this process so that the SDK uses for this URL what `proxy_for` returns; return that."""
    proxy = proxy_for(url)
    for name in _VARIABLES:
        os.environ.pop(name, None)
    if proxy is not None:
        os.environ["HTTPS_PROXY" if urlsplit(url).scheme in _TLS_SCHEMES else "HTTP_PROXY"] = proxy.url
    return proxy


def _parsed(name: str, value: str) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PROXY_PORT
    except ValueError:
        raise UnreachableError(f"${name} is not the URL of a proxy; allowed: http://HOST:PORT") from None
    if parts.scheme != "http" or not host:
        raise UnreachableError(f"${name} names a proxy that is not spoken to by HTTP; allowed: http://HOST:PORT")
    authorization = ""
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        hide(password)
        hide(parts.password or "")
        authorization = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        hide(authorization.removeprefix("Basic "))
    return Proxy(host=host, port=port, url=url, authorization=authorization)


def _excluded(host: str, port: int, listed: str) -> bool:
    """Say whether a list such as "localhost,.example.com,10.0.0.0/8,host:8080" names a host, as curl reads it."""
    host = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for each in listed.replace(",", " ").lower().split():
        if each == "*":
            return True
        entry, wanted_port = _split_port(each)
        if wanted_port not in (None, port):
            continue
        if address is not None and _in_network(address, entry):
            return True
        domain = entry.removeprefix("*").lstrip(".").rstrip(".")
        if domain and address is None and (host == domain or host.endswith(f".{domain}")):
            return True
    return False


def _split_port(entry: str) -> tuple[str, int | None]:
    name, colon, port = entry.rpartition(":")
    if colon and port.isdecimal() and (":" not in name or name.startswith("[")):
        return name, int(port)
    return entry, None


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
