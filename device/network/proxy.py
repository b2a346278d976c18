"""Chooses the proxy for a URL by HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Pure.

The LiveKit SDK reads HTTPS_PROXY for wss:// and HTTP_PROXY for ws://, upper case before lower case; an empty variable
means no proxy. It opens a tunnel with CONNECT, over plain TCP, with Basic authentication. It reads neither ALL_PROXY
nor NO_PROXY. All connections of this package follow the same rules, and also NO_PROXY with the syntax of curl and
Python.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from device.network.address import PORTS, host_and_port
from device.redaction import hide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NO_PROXY = ("NO_PROXY", "no_proxy")
_VARIABLES = {
    "wss": ("HTTPS_PROXY", "https_proxy"),
    "https": ("HTTPS_PROXY", "https_proxy"),
    "ws": ("HTTP_PROXY", "http_proxy"),
    "http": ("HTTP_PROXY", "http_proxy"),
}
_SDK_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_SCHEMES = {"http": 80, "https": 443}  # the SDK speaks plain HTTP with both
_MAX_PORT = 65535
# The SDK percent-encodes all other characters, and the proxy then gets a wrong password.
_SENDABLE = re.compile(r"[A-Za-z0-9!$%&'()*+,._~-]*")
_PORT_AFTER_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>\d+)")


class ProxyError(ValueError):
    """A proxy variable cannot be used. The text names the variable and the allowed values, but not its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy. Its text is host and port, without user and password."""

    variable: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)

    @property
    def authorization(self) -> str:
        """Return the value of Proxy-Authorization; empty without a password, like the SDK's."""
        if not self.password:
            return ""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    @property
    def url(self) -> str:
        """Return the URL that the SDK reads from its environment."""
        user = f"{self.user}:{self.password}@" if self.password else ""
        return f"http://{user}{self}"


def proxy_for(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a ws://, wss://, http:// or https:// URL; None for a direct connection.

    Raises ProxyError.
    """
    target = urlsplit(url)
    variable, value = _first(environment, _VARIABLES[target.scheme])
    if not value:
        return None
    host, port = (target.hostname or "").lower(), target.port or PORTS[target.scheme]
    if any(_covers(entry, host, port) for entry in _entries(_first(environment, _NO_PROXY)[1])):
        return None
    return _proxy(variable, value)


def host_to_reach(url: str, environment: Mapping[str, str]) -> str:
    """Return the host to which connections for a URL are made, which is the proxy's if there is one."""
    try:
        proxy = proxy_for(url, environment)
    except ProxyError:
        proxy = None
    return proxy.host if proxy else urlsplit(url).hostname or ""


def sdk_variables(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return values for the proxy variables that are set, with which the SDK connects to a URL like this package.

    Raises ProxyError.
    """
    proxy = proxy_for(url, environment)
    ours = _VARIABLES[urlsplit(url).scheme]
    return {name: proxy.url if proxy and name in ours else "" for name in _SDK_VARIABLES if name in environment}


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """Return the first name that is set, with its value."""
    return next(((name, environment[name].strip()) for name in names if name in environment), (names[0], ""))


def _proxy(variable: str, value: str) -> Proxy:
    allowed = "allowed is http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        default_port = _SCHEMES[parts.scheme]
        host = (parts.hostname or "").encode("idna").decode()
        proxy = Proxy(
            variable=variable,
            host=host,
            port=default_port if parts.port is None else parts.port,
            user=unquote(parts.username or "", errors="strict"),
            password=unquote(parts.password or "", errors="strict"),
        )
    except KeyError:
        raise ProxyError(f"{variable} is not an HTTP proxy; {allowed}") from None
    except ValueError:
        raise ProxyError(f"{variable} holds no URL; {allowed}") from None
    hide(proxy.password)
    if not re.fullmatch(r"[\w.:%-]+", host) or not 0 < proxy.port <= _MAX_PORT:
        raise ProxyError(f"{variable} holds no URL; {allowed}")
    if not _SENDABLE.fullmatch(proxy.user) or not _SENDABLE.fullmatch(proxy.password):
        raise ProxyError(
            f"{variable} has a user or password with a character that the LiveKit SDK cannot send; "
            "allowed are letters, digits and ! $ % & ' ( ) * + , . _ ~ -"
        )
    return proxy


def _entries(no_proxy: str) -> Iterator[str]:
    return (entry.lower() for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, entry_port = entry, None
    if match := _PORT_AFTER_HOST.fullmatch(entry):
        name, entry_port = match["host"], int(match["port"])
    if entry_port not in (None, port):
        return False
    name = name.replace("[", "").replace("]", "")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _is_in_domain(_canonical(host), _canonical(name.removeprefix("*").lstrip(".")))
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _is_in_domain(host: str, domain: str) -> bool:
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _canonical(name: str) -> str:
    """Return a host name in ASCII, without a final dot."""
    try:
        return name.rstrip(".").encode("idna").decode()
    except UnicodeError:
        return name.rstrip(".")
