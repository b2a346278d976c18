"""`livekit-device viewer` and `viewer-token`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING

from device import log
from device.errors import ExitCode, UnreachableError
from device.network.probe import Probe
from device.network.resolver import Resolver
from device.tokens.minting import VIEWER_TTL
from device.viewer.access import viewer_access
from device.viewer.server import Viewer, ViewerBundleMissing, serving

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from device.network.probe import ProbeResult
    from device.tokens.minting import ApiKey


def serve(config_path: Path | None, *, host: str, port: int) -> int:
    """Serve the page until SIGINT or SIGTERM. Raises ConfigError."""
    config, api_key = viewer_access(config_path)
    log.configure(level=config.log.level, format=config.log.format)
    return asyncio.run(run(config.room.url[0], api_key, host=host, port=port))


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
        return await Probe(Resolver()).look(room_url)
    return None


async def run(room_url: str, api_key: ApiKey, *, host: str, port: int) -> int:
    """Print the page's URL on standard output, and serve it until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:

        async def mint() -> str:
            return api_key.viewer_token(at=await probed(room_url))

        async with serving(Viewer(room_url=room_url, mint=mint), host=host, port=port) as url:
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            await stop.wait()
    except ViewerBundleMissing as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.FAILED
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        sys.stderr.write(f"cannot serve on {host}:{port}: {why}; --bind takes another HOST:PORT\n")
        return ExitCode.FAILED
    return ExitCode.OK
