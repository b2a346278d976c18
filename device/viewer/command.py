"""`livekit-device viewer` and `viewer-token`."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
from typing import TYPE_CHECKING

from device import log
from device.errors import ExitCode, UnreachableError
from device.network.probe import Probe
from device.network.resolver import Resolver
from device.redaction import hide
from device.tokens.minting import VIEWER_TTL
from device.viewer import operators, talkers
from device.viewer.access import viewer_access
from device.viewer.hosts import Hosts
from device.viewer.link import code_lines, link
from device.viewer.passes import TTL, Passes
from device.viewer.server import Page, Site, ViewerBundleMissing, serving

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from device.network.probe import ProbeResult
    from device.tokens.minting import ApiKey

_SECRET_BYTES = 16
_WATCHING = "Everyone with this link can watch, until Ctrl-C. The next start prints another one.\n"


def serve(
    config_path: Path | None,
    *,
    host: str,
    port: int,
    allowed_hosts: Iterable[str] = (),
    operator: str | None = None,
    talk: str | None = None,
) -> int:
    """Serve the page until SIGINT or SIGTERM. Raises ConfigError.

    `operator` is the identity of the operator's page, `talk` begins the identities of the viewer's page, which then can
    talk. With both there are two pages. With none it is the viewer's page.
    """
    config, api_key = viewer_access(config_path)
    log.configure(level=config.log.level, format=config.log.format)
    more = frozenset(each.rstrip(".").lower() for each in allowed_hosts)
    return asyncio.run(
        run(config.room.url, api_key, host=host, port=port, allowed_hosts=more, operator=operator, talk=talk)
    )


def print_token(config_path: Path | None, *, ttl: datetime.timedelta | None, talk: str | None = None) -> int:
    """Print a viewer's token, and the URL of the room's server. Raises ConfigError.

    `talk` begins the identity of a token that may publish a microphone.
    """
    config, api_key = viewer_access(config_path)
    at = asyncio.run(probed(config.room.url[0]))
    if at is None:
        sys.stderr.write("the server does not answer: the token is valid by this device's clock\n")
    ttl = ttl or VIEWER_TTL
    token = api_key.viewer_token(ttl=ttl, at=at) if talk is None else talkers.talk_token(api_key, talk, at=at, ttl=ttl)
    sys.stdout.write(f"{token}\n{config.room.url[0]}\n")
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
    talk: str | None = None,
) -> int:
    """Print each page's link on standard output, and serve it until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pages = tuple(
        _pages(
            urls, api_key, is_open=not Hosts(bound=host, more=allowed_hosts).needs_secret, operator=operator, talk=talk
        )
    )
    site = Site(pages=tuple(page for page, _ in pages), room_urls=tuple(urls), allowed_hosts=allowed_hosts)
    try:
        async with serving(site, host=host, port=port) as url:
            for page, remark in pages:
                path = page.path.lstrip("/")
                _show(
                    link(f"{url}{path}", bound=host, room_url=urls[0], secret=page.secret),
                    remark,
                    code=bool(page.secret),
                )
            await stop.wait()
    except ViewerBundleMissing as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.FAILED
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        sys.stderr.write(f"cannot serve on {host}:{port}: {why}; --bind takes another HOST:PORT\n")
        return ExitCode.FAILED
    return ExitCode.OK


def _pages(
    urls: Sequence[str], api_key: ApiKey, *, is_open: bool, operator: str | None, talk: str | None
) -> Iterator[tuple[Page, str]]:
    """Yield each page with the remark below its link. Each has a secret of its own, because their rights differ."""
    passes = Passes(
        urls=tuple(urls), probe=Probe(Resolver()), mint=lambda at: api_key.viewer_token(at=at, ttl=TTL, data=False)
    )
    if operator is None or talk is not None:
        secret = "" if is_open else _new_secret()
        page, remark = Page(mint=passes, secret=secret), _WATCHING if secret else ""
        if talk is not None:
            page, remark = talkers.with_talk(page, passes, api_key, talk), remark + talkers.remark(talk)
        yield page, remark
    if operator is not None:
        # On loopback too an operator's link is for the operator, and not for the other users of this machine.
        yield operators.operator_page(passes, api_key, operator, secret=_new_secret()), operators.remark(operator)


def _new_secret() -> str:
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    hide(secret)
    return secret


def _show(url: str, remark: str, *, code: bool) -> None:
    """Print the link, also as a QR code if that is wanted, with a remark below it."""
    lines = [url, *(code_lines(url, sys.stdout) if code else ())]
    sys.stdout.write("".join(f"{line}\n" for line in lines) + remark)
    sys.stdout.flush()
