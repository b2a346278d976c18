"""Chooses the proxy for a URL by the configuration, or by HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Pure.

The LiveKit SDK reads HTTPS_PROXY for wss:// and HTTP_PROXY for ws://, upper case before lower case; an empty variable
means no proxy. It opens a tunnel with CONNECT, over plain TCP, with Basic authentication. It reads neither ALL_PROXY
nor NO_PROXY. All connections of this package follow the same rules, and also NO_PROXY with the syntax of curl and
Python. Keys of [network] come before the variables; they stand among them under their own names, such as
"network.proxy".
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from device import proxy_url
from device.network.address import PORTS, host_and_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY, FILE_KEY, NO_PROXY_KEY = "network.proxy", "network.proxy_file", "network.no_proxy"
UNREADABLE = "\0"
"""Begins the value of `FILE_KEY` if the file cannot be read: the rest says why."""
_NO_PROXY = (NO_PROXY_KEY, "NO_PROXY", "no_proxy")
_SECURE = ("HTTPS_PROXY", "https_proxy")
_PLAIN = ("HTTP_PROXY", "http_proxy")
_VARIABLES = {"wss": _SECURE, "https": _SECURE, "ws": _PLAIN, "http": _PLAIN}
SDK_VARIABLES = (*_SECURE, *_PLAIN, "ALL_PROXY", "all_proxy")
_PORT_AFTER_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>\d+)")


class ProxyError(ValueError):
    """A proxy setting cannot be used. The text names the key or variable and the allowed values, but not its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy. Its text is host and port, without user and password. `variable`: where it is set."""

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


def proxy_for(url: str, settings: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a ws://, wss://, http:// or https:// URL; None for a direct connection.

    Raises ProxyError.
    """
    target = urlsplit(url)
    variable, value = _first(settings, (KEY, FILE_KEY, *_VARIABLES[target.scheme]))
    if not value:
        return None
    host, port = (target.hostname or "").lower(), target.port or PORTS[target.scheme]
    if any(_covers(entry, host, port) for entry in _entries(_first(settings, _NO_PROXY)[1])):
        return None
    if value.startswith(UNREADABLE):
        raise ProxyError(f"{variable}: {value.removeprefix(UNREADABLE)}")
    try:
        found = proxy_url.parsed(value)
    except ValueError as error:
        raise ProxyError(f"{variable} {error}") from None
    return Proxy(variable=variable, host=found.host, port=found.port, user=found.user, password=found.password)


def host_to_reach(url: str, settings: Mapping[str, str]) -> str:
    """Return the host to which connections for a URL are made, which is the proxy's if there is one."""
    try:
        proxy = proxy_for(url, settings)
    except ProxyError:
        proxy = None
    return proxy.host if proxy else urlsplit(url).hostname or ""


def sdk_variables(url: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return values for the SDK's proxy variables, with which it connects to a URL like this package.

    Raises ProxyError.
    """
    proxy = proxy_for(url, settings)
    ours = _VARIABLES[urlsplit(url).scheme]
    return {name: proxy.url if proxy and name in ours else "" for name in SDK_VARIABLES}


def _first(settings: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """Return the first name that is set, with its value."""
    return next(((name, settings[name].strip()) for name in names if name in settings), (names[0], ""))


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
