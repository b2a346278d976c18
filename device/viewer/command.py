"""`livekit-device viewer`: serve the page until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING

from device.errors import ExitCode, UnreachableError
from device.network.probe import Probe
from device.network.resolver import Resolver
from device.viewer.server import Viewer, ViewerBundleMissing, serving

if TYPE_CHECKING:
    from device.network.probe import ProbeResult
    from device.tokens.minting import ApiKey


async def sighted(room_url: str) -> ProbeResult | None:
    """Probe the server for its time, by which a minted token must be valid; None if it does not answer."""
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
            return api_key.viewer_token(at=await sighted(room_url))

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
