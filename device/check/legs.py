"""The legs of the way to a server, each with its own row: name, TCP, proxy, TLS; and for media: TCP and TURN."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from device.check import signal, turn
from device.errors import UnreachableError
from device.network import rules
from device.network.address import base_of, host_and_port, target_of
from device.network.dial import DialError, connect, error_text
from device.network.proxy import ProxyError, proxy_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from device.check.report import Report
    from device.check.signal import Offered
    from device.network.resolver import Resolver

_RESOLVE_S, _TCP_S, _ENCRYPT_S = 10.0, 3.0, 5.0
_LATE_S = 1.0
_MOST_ADDRESSES = 6
_LOOK_AT = {
    "tcp": "look at room.url and the firewall",
    "proxy": "look at network.proxy, or HTTPS_PROXY and HTTP_PROXY",
    "tls": "",  # the text has a remedy
}
_SDK_ROOTS = (
    "for turns: the SDK trusts only the CAs that are built into it, not network.ca_file and not this system's; use a "
    "certificate of a public CA there, or turn: over TCP"
)


async def reached(report: Report, url: str, resolver: Resolver) -> bool:
    """Connect to a server step by step. Return whether all steps but HTTP work."""
    try:
        proxy = proxy_for(url, rules.settings())
        host, port = (proxy.host, proxy.port) if proxy else target_of(urlsplit(url))
    except (ProxyError, UnicodeError) as error:
        report.bad("proxy", str(error))
        return False
    place = proxy.variable if proxy else "room.url"
    began = time.monotonic()
    try:
        addresses = await resolver.resolve(host, within_s=_RESOLVE_S)
    except UnreachableError as error:
        report.bad("name", str(error), hint=f"look at {place}, /etc/resolv.conf and the network")
        return False
    shown = f"{host} is {', '.join(addresses[:3])}"
    shown = f"the proxy {shown} (by {place})" if proxy else shown
    if (took_s := time.monotonic() - began) > _LATE_S:
        report.warn("name", f"{shown}, after {took_s:.1f} s", hint="a name server is late; look at /etc/resolv.conf")
    else:
        report.good("name", shown)
    return await _connected(report, addresses, port) and await _encrypted(report, url, resolver)


async def _connected(report: Report, addresses: Sequence[str], port: int) -> bool:
    tried = addresses[:_MOST_ADDRESSES]
    found = dict(zip(tried, await asyncio.gather(*(_tcp(each, port) for each in tried)), strict=True))
    good = [f"{host_and_port(each, port)} in {ms} ms" for each, ms in found.items() if isinstance(ms, int)]
    bad = [f"{host_and_port(each, port)}: {why}" for each, why in found.items() if isinstance(why, str)]
    if not good:
        report.bad("tcp", f"cannot be reached: {'; '.join(bad)}", hint=_LOOK_AT["tcp"])
    elif bad:
        report.warn("tcp", f"{', '.join(good)}; but {'; '.join(bad)}", hint="the device goes round that")
    else:
        report.good("tcp", ", ".join(good))
    return bool(good)


async def _tcp(address: str, port: int) -> int | str:
    """Return how many milliseconds a connection takes, or why there is none."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(_TCP_S):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return f"no answer within {_TCP_S:g} s"
    except OSError as error:
        return error_text(error)
    writer.close()
    return round((time.monotonic() - began) * 1000)


async def _encrypted(report: Report, url: str, resolver: Resolver) -> bool:
    """Connect as the daemon does, through the proxy if there is one, and with TLS."""
    base = base_of(url)
    try:
        async with asyncio.timeout(_ENCRYPT_S):
            transport, _, connection = await connect(base, resolver, asyncio.Protocol, within_s=_ENCRYPT_S)
    except DialError as error:
        report.bad(error.leg, f"{base} {error}", hint=_LOOK_AT[error.leg])
        return False
    except UnreachableError as error:
        report.bad("name", str(error))
        return False
    except TimeoutError:
        leg = "tls" if base.startswith("https") else "proxy"
        report.bad(leg, f"{base} does not answer within {_ENCRYPT_S:g} s")
        return False
    try:
        if connection.proxy:
            report.good("proxy", f"{connection.proxy} connects to {host_and_port(*target_of(urlsplit(base)))}")
        encryption = transport.get_extra_info("ssl_object")
        if encryption is not None:
            report.good("tls", _certificate(encryption))
    finally:
        transport.abort()
    return True


def _certificate(encryption: ssl.SSLObject) -> str:
    certificate = encryption.getpeercert() or {}
    names = dict(pair for part in certificate.get("issuer", ()) for pair in part if len(pair) == 2)  # type: ignore[misc]  # noqa: PLR2004
    issuer = names.get("organizationName") or names.get("commonName") or "an unnamed issuer"
    return f"{encryption.version()}, a certificate of {issuer} until {certificate.get('notAfter', 'an unknown time')}"


async def media(report: Report, url: str, token: str, resolver: Resolver, *, relay_only: bool) -> Offered | None:
    """Join over a WebSocket, and try the ways for media that the server names, except UDP, which only the SDK can."""
    try:
        found = await signal.offered(url, token, resolver)
    except signal.NoSuchPathError as error:
        report.skipped("websocket", str(error))
        return None
    except signal.SignalError as error:
        report.bad("websocket", str(error))
        return None
    ways = [name for name, is_offered in _ways(found).items() if is_offered]
    report.good("websocket", f"the server offers media over {', '.join(ways) or 'nothing that is known'}")
    await _ice_tcp(report, found, relay_only=relay_only)
    await _turn(report, found, resolver, relay_only=relay_only)
    return found


def _ways(found: Offered) -> dict[str, bool]:
    """Return the ways for media, and whether the server offers them."""
    protocols = {protocol for protocol, _, _ in found.candidates}
    turns = any(each.url.startswith("turn") for each in found.ice_servers)
    return {"UDP": "udp" in protocols, "TCP": "tcp" in protocols, "TURN": turns}


async def _ice_tcp(report: Report, found: Offered, *, relay_only: bool) -> None:
    targets = [(address, port) for protocol, address, port in found.candidates if protocol == "tcp"]
    if relay_only or not targets:
        return
    results = [(target, await _tcp(*target)) for target in targets[:_MOST_ADDRESSES]]
    good = [f"{host_and_port(*target)} in {ms} ms" for target, ms in results if isinstance(ms, int)]
    bad = [f"{host_and_port(*target)}: {why}" for target, why in results if isinstance(why, str)]
    if good:
        report.good("ice-tcp", ", ".join(good))
    else:
        # Media needs it only if UDP fails.
        report.warn("ice-tcp", "; ".join(bad), hint="media needs it if UDP fails; it does not pass an HTTP proxy")


async def _turn(report: Report, found: Offered, resolver: Resolver, *, relay_only: bool) -> None:
    servers = [
        (each.url, server)
        for each in found.ice_servers
        if (server := turn.TurnServer.of_url(each.url, username=each.username, credential=each.credential))
    ]
    if relay_only and not servers:
        hint = "configure one in the server (turn, or rtc.turn_servers)"
        report.bad("turn", 'network.relay is "always", but the server names no TURN server', hint=hint)
    for url, server in servers:
        try:
            address = await turn.relay_address(server, resolver)
        except turn.TurnError as error:
            (report.bad if relay_only and len(servers) == 1 else report.warn)(
                "turn", f"{url}: {error}", hint=_SDK_ROOTS if server.secure else "look at the firewall"
            )
        else:
            note = f" ({_SDK_ROOTS})" if server.secure else ""
            report.good("turn", f"{url} gives the relay address {address}{note}")
