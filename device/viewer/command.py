"""`livekit-device viewer`: serve the page until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from device.errors import ExitCode
from device.viewer.server import Viewer, ViewerBundleMissing, serving

if TYPE_CHECKING:
    from device.room.minting import ApiKey


async def run(room_url: str, api_key: ApiKey, *, host: str, port: int) -> int:
    """Print the page's URL on standard output, and serve it until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with serving(Viewer(room_url=room_url, mint=api_key.viewer_token), host=host, port=port) as url:
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
