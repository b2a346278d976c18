"""Decides which host names the page is served under, against DNS rebinding. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from yarl import URL

from device.arguments import is_host_name

PRIVATE_SUFFIXES: Final = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
"""Names that the public DNS does not delegate, so that an attacker cannot point one at this server."""

_SHOWN = 64  # characters of a refused name


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The names of one server.

    In a rebinding attack a page's own public DNS name resolves to this server.

    bound: where it listens. own_name: the box's host name. more: names that the operator allows.

    On loopback there is no secret in the page's link, so only names that an attacker cannot own are allowed: localhost,
    loopback addresses, and the bound name. Otherwise the secret protects the room, and the box is allowed under all its
    names: addresses, names without a dot, names under PRIVATE_SUFFIXES, and its host name in any domain.
    """

    bound: str
    own_name: str = ""
    more: frozenset[str] = frozenset()

    @property
    def on_loopback(self) -> bool:
        return is_loopback(_plain(self.bound))

    @property
    def needs_secret(self) -> bool:
        """Whether others than this machine's users can ask for a token; a proxy may publish a page on loopback."""
        return not self.on_loopback or bool(self.more)

    def allow(self, host_header: str) -> bool:
        """Return whether a request with this Host header is served. The port is ignored: `ssh -L` changes it."""
        name = name_in(host_header)
        if name == "":
            return False
        if name == "localhost" or name == _plain(self.bound) or name in self.more:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            if self.on_loopback:
                return False
            first, dot, _ = name.partition(".")
            return not dot or name.endswith(PRIVATE_SUFFIXES) or first == _plain(self.own_name).partition(".")[0]
        return address.is_loopback or not self.on_loopback

    def refusal(self, host_header: str) -> str:
        """Return what a browser shows that came under another name."""
        name = name_in(host_header)[:_SHOWN]
        asked = f"This page is not served under the name {name}." if name else "This request names no host."
        own = _plain(self.own_name).partition(".")[0]
        if self.on_loopback:
            known = "It is served on this machine only: open http://localhost with the same port."
        else:
            known = f"Open it under the device's address, or under its own name: {own}, {own}.local or {own}.DOMAIN."
        option = name if is_host_name(name) else "NAME"
        return f"{asked}\n{known}\nTo allow this name, restart it with: livekit-device viewer --allow-host {option}\n"


def name_in(host_header: str) -> str:
    """Return the name or address in a Host header, in lower case; empty if there is none."""
    try:
        return _plain(URL(f"http://{host_header}").host or "")
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _plain(name: str) -> str:
    return name.rstrip(".").lower()
