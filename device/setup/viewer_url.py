"""Which URL shows the room on another machine, and what to say about it. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

# LiveKit's public page. It is loaded by https://, so browsers let it reach wss:// only.
MEET = "https://meet.livekit.io/custom"
_MEET_BY_HAND = "https://meet.livekit.io/?tab=custom"
_PORT = 8080
_ANY_IPV4 = "0.0.0.0"  # people choose it, by hand  # noqa: S104


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerUrl:
    """What to show: a URL for another machine, if there is one; and what people need to know about it."""

    url: str = field(default="", repr=False)  # it may hold a token
    bind: str = ""  # where `livekit-device viewer` has to serve the page of that URL
    notes: tuple[str, ...] = ()


def viewer_url(server: str, *, room: str, mint: Callable[[], str] | None, lifetime: str, own_address: str) -> ViewerUrl:
    """Choose for a room's server as the device knows it.

    `mint` makes a viewer's token, None where the device cannot; `own_address` is this machine's address in its network.
    """
    parts = urlsplit(server)
    if _is_loopback(parts.hostname or ""):
        return ViewerUrl(
            notes=(
                f"The server {server} is reached from this machine alone, so nobody else can watch.",
                "On this machine `livekit-device viewer` serves a page that shows the room.",
            )
        )
    if mint is None:
        return ViewerUrl(
            notes=(
                "This device cannot make tokens for viewers: it holds no API secret. Ask for a viewer's token where",
                f"the device's own token comes from (room {room or 'of the token'}, canSubscribe), and open with it",
                f"{_MEET_BY_HAND} (or any LiveKit client); the server is {server}",
            )
        )
    if parts.scheme == "wss":
        return ViewerUrl(
            url=f"{MEET}?liveKitUrl={quote(server, safe=':/')}&token={quote(mint(), safe='')}",
            notes=(
                "Open the URL below on any machine that reaches the server. The page is LiveKit's own; picture and",
                "sound go from your server to the browser. If it asks for your camera, refuse: viewers send nothing.",
                f"The URL holds a viewer's token, valid for {lifetime}: anybody who has it may watch.",
                "`sudo livekit-device viewer-token` makes another one.",
            ),
        )
    host, everywhere = (f"[{own_address}]", "[::]") if ":" in own_address else (own_address, _ANY_IPV4)
    return ViewerUrl(
        url=f"http://{host}:{_PORT}/" if own_address else "",
        bind=f"{everywhere}:{_PORT}" if own_address else "",
        notes=(
            "The server has no TLS (ws://), which public https:// pages may not use: this device serves a page itself.",
            f"Start it: sudo livekit-device viewer --bind {everywhere}:{_PORT}",
            "and open the URL below on a machine in this network. As long as it runs, everybody in this network may",
            "watch; Ctrl-C ends it.",
        ),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
