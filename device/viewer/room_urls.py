"""The room's URLs for a browser, and what the page's policy must allow for them. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from yarl import URL

from device.viewer.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
LIVEKIT_CLOUD: Final = (".livekit.cloud", ".livekit.run")
"""Domains for which livekit-client queries the nearest region and then joins at another host name."""


def check(urls: Sequence[str]) -> None:
    """Check the URLs. Raises ValueError for one that no browser can join."""
    for url in urls:
        room = URL(url)
        if room.scheme not in SCHEMES or not room.host:
            raise ValueError("the viewer's room_url must be an absolute ws, wss, http or https URL")


def for_browser(urls: Sequence[str], *, asked: str, own_name: str = "") -> list[str]:
    """Return the room's URLs for a browser that asked for the page under this host name or address.

    A loopback address in the configuration means the device. For a browser elsewhere that is the name under which it
    reached the page; nothing else is known that leads from there to the device. The same is tried after the device's
    own name, which other machines may not resolve. A browser on the device itself, and one behind `ssh -L`, get the
    addresses as they are.
    """
    if not asked or is_loopback(asked):
        return list(urls)
    found: list[str] = []
    for url in urls:
        room = URL(url)
        host = (room.host or "").rstrip(".").lower()
        here = str(room.with_host(asked))
        if _is_this_machine(host):
            found.append(here)
        elif own_name and host.partition(".")[0] == own_name.partition(".")[0].lower():
            found += [url, here]
        else:
            found.append(url)
    return list(dict.fromkeys(found))


def sources(urls: Sequence[str]) -> Iterator[str]:
    """Yield the sources in a Content-Security-Policy that allow a browser to join at these URLs."""
    for url in urls:
        room = URL(url)
        https = SCHEMES[room.scheme]
        # livekit-client queries over http why a WebSocket was refused.
        for scheme in (https.replace("http", "ws"), https):
            if _is_ipv6(room.host or ""):
                yield f"{scheme}:"  # a policy has no notation for an IPv6 address
                continue
            yield str(room.with_user(None).with_scheme(scheme).origin())
            yield from (f"{scheme}://*{suffix}" for suffix in LIVEKIT_CLOUD if (room.host or "").endswith(suffix))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified or is_loopback(host)
    except ValueError:
        return is_loopback(host)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6  # noqa: PLR2004
    except ValueError:
        return False
