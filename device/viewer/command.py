"""`livekit-device viewer` and `viewer-token`."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from device import log
from device.errors import ExitCode, UnreachableError
from device.network.probe import Probe
from device.network.resolver import Resolver
from device.redaction import hide
from device.tokens.minting import VIEWER_TTL
from device.viewer import operators
from device.viewer.access import viewer_access
from device.viewer.hosts import Hosts
from device.viewer.link import code_lines, link
from device.viewer.passes import TTL, Passes
from device.viewer.server import Page, Site, ViewerBundleMissing, serving

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from device.network.probe import ProbeResult
    from device.tokens.minting import ApiKey

_SECRET_BYTES = 16
_WATCHING = "Everyone with this link can watch, until Ctrl-C. The next start prints another one.\n"


def serve(
    config_path: Path | None, *, host: str, port: int, allowed_hosts: Iterable[str] = (), operator: str | None = None
) -> int:
    """Serve the page until SIGINT or SIGTERM. Raises ConfigError.

    `operator` is the identity of the operator's page; None serves the viewer's page.
    """
    config, api_key = viewer_access(config_path)
    log.configure(level=config.log.level, format=config.log.format)
    more = frozenset(each.rstrip(".").lower() for each in allowed_hosts)
    return asyncio.run(run(config.room.url, api_key, host=host, port=port, allowed_hosts=more, operator=operator))


def print_token(config_path: Path | None, *, ttl: datetime.timedelta | None) -> int:
    """Print a viewer's token, and the URL of the room's server. Raises ConfigError."""
    config, api_key = viewer_access(config_path)
    at = asyncio.run(probed(config.room.url[0]))
    if at is None:
        sys.stderr.write("the server does not answer: the token is valid by this device's clock\n")
    sys.stdout.write(f"{api_key.viewer_token(ttl=ttl or VIEWER_TTL, at=at)}\n{config.room.url[0]}\n")
    return ExitCode.OK


async def probed(room_url: str) -> ProbeResult | None:
    """Ask the server for its time, because a token must be valid by that; None if it does not answer."""
    with contextlib.suppress(UnreachableError):
        return await Probe(Resolver()).probe(room_url)
    return None


async def run(
    urls: Sequence[str],
    api_key: ApiKey,
    *,
    host: str,
    port: int,
    allowed_hosts: frozenset[str] = frozenset(),
    operator: str | None = None,
) -> int:
    """Print the page's link on standard output, and serve it until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # On loopback too an operator's link is for the operator, and not for the other users of this machine.
    needs_secret = operator is not None or Hosts(bound=host, more=allowed_hosts).needs_secret
    secret = secrets.token_urlsafe(_SECRET_BYTES) if needs_secret else ""
    hide(secret)
    token = partial(api_key.viewer_token, ttl=TTL, data=False)
    passes = Passes(urls=tuple(urls), probe=Probe(Resolver()), mint=lambda at: token(at=at))
    page, path, remark = Page(mint=passes, secret=secret), "", _WATCHING if secret else ""
    if operator is not None:
        page = operators.operator_page(passes, api_key, operator, secret=secret)
        path, remark = operators.PATH, operators.remark(operator)
    site = Site(pages=(page,), room_urls=tuple(urls), allowed_hosts=allowed_hosts)
    try:
        async with serving(site, host=host, port=port) as url:
            _show(link(f"{url}{path}", bound=host, room_url=urls[0], secret=secret), remark)
            await stop.wait()
    except ViewerBundleMissing as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.FAILED
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        sys.stderr.write(f"cannot serve on {host}:{port}: {why}; --bind takes another HOST:PORT\n")
        return ExitCode.FAILED
    return ExitCode.OK


def _show(url: str, remark: str) -> None:
    """Print the link; one with a secret also as a QR code, with a remark below it."""
    lines = [url, *(code_lines(url, sys.stdout) if remark else ())]
    sys.stdout.write("".join(f"{line}\n" for line in lines) + remark)
    sys.stdout.flush()
