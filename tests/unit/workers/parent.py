"""A stand-in for the daemon: runs one worker, prints its process id once it captures, and waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from device import log
from device.workers.child import running
from device.workers.wire import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Callable


async def main(module: str, settings: str) -> None:
    log.configure(level="warning", format="json")
    heard = asyncio.Event()
    on_message: Callable[[Message], None] = lambda message: (  # noqa: E731
        heard.set() if message.kind in (Kind.UNIT, Kind.BLOCK) else None
    )
    async with running(name="worker", module=module, settings=json.loads(settings), on_message=on_message) as child:
        hearing = asyncio.ensure_future(heard.wait())
        either: set[asyncio.Future[Any]] = {child.gone, hearing}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        print("capturing", flush=True)
        await child.gone


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
