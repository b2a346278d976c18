"""The URL that shows the room on another machine, and notes for the operator. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

# LiveKit's public page. It is loaded by https://, so browsers allow only wss:// connections from it.
MEET = "https://meet.livekit.io/custom"
_MEET_BY_HAND = "https://meet.livekit.io/?tab=custom"
_PORT = 8080
_ANY_IPV4 = "0.0.0.0"  # only with the operator's consent  # noqa: S104


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerUrl:
    """A URL for another machine, if there is one, and notes about it."""

    url: str = field(default="", repr=False)  # it may contain a token
    bind: str = ""  # the address on which `livekit-device viewer` must serve the page of that URL
    notes: tuple[str, ...] = ()


def viewer_url(server: str, *, room: str, mint: Callable[[], str] | None, lifetime: str, own_address: str) -> ViewerUrl:
    """Return the URL for a room on this server, whose address is the device's own.

    `mint` makes a viewer's token, None if the device cannot; `own_address` is this machine's address in its network.
    """
    parts = urlsplit(server)
    if _is_loopback(parts.hostname or ""):
        return ViewerUrl(
            notes=(
                f"The server's address {server} is for this machine only.",
                "`livekit-device viewer` serves a page here that shows the room. If the server listens on the network",
                f"too, `sudo livekit-device viewer --bind {_ANY_IPV4}:{_PORT}` serves it to others, and prints a link.",
            )
        )
    if mint is None:
        return ViewerUrl(
            notes=(
                "This device cannot make tokens for viewers: it has no API secret. Get a viewer's token from the",
                f"source of the device's token (room {room or 'of the token'}, canSubscribe). Open with this token",
                f"{_MEET_BY_HAND} (or any LiveKit client); the server is {server}",
            )
        )
    if parts.scheme == "wss":
        return ViewerUrl(
            url=f"{MEET}?liveKitUrl={quote(server, safe=':/')}&token={quote(mint(), safe='')}",
            notes=(
                "Open the URL below on any machine that can reach the server. The page is LiveKit's own; picture and",
                "sound go from your server to the browser. If it asks for your camera, refuse: viewers do not publish.",
                f"The URL contains a viewer's token, valid for {lifetime}: everyone with the URL can watch.",
                "`sudo livekit-device viewer-token` prints another one.",
            ),
        )
    everywhere = "[::]" if ":" in own_address else _ANY_IPV4
    return ViewerUrl(
        bind=f"{everywhere}:{_PORT}" if own_address else "",
        notes=(
            "The server has no TLS (ws://), which public https:// pages may not use: this device serves a page itself.",
            f"Start it: sudo livekit-device viewer --bind {everywhere}:{_PORT}",
            "It prints a link with a key in it. Open that on a machine in this network. While it runs, everyone with",
            "the link can watch; Ctrl-C ends it.",
        ),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
