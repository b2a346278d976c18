"""A participant that calls the device as fast as it is asked to, in a process of its own: it takes half a core."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass

from livekit import rtc

_ANSWER_S = 15.0  # the SDK takes 7 s of it for the way

_MOST_OPEN = 100  # the SDK looks at all of them for each answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooded:
    """How many calls were made a second, and how many were answered with each code; 0 is a result."""

    rate: float
    codes: dict[str, int]

    @property
    def calls(self) -> int:
        return sum(self.codes.values())


async def flooded(url: str, token: str, *, rate: float, seconds: float) -> Flooded:
    """Call `device.status` from another process, without waiting for answers; return what came back."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, url, token, str(rate), str(seconds)), stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return Flooded(**json.loads(output))


async def _flood(url: str, token: str, *, rate: float, seconds: float) -> Flooded:
    room = rtc.Room()
    await room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
    codes: Counter[str] = Counter()

    async def call() -> None:
        try:
            await room.local_participant.perform_rpc(
                destination_identity="device", method="device.status", payload="", response_timeout=_ANSWER_S
            )
            codes["0"] += 1
        except rtc.RpcError as error:
            codes[str(int(error.code))] += 1

    calls: set[asyncio.Task[None]] = set()
    made, began = 0, time.monotonic()
    while (elapsed_s := time.monotonic() - began) < seconds:
        for _ in range(min(int(elapsed_s * rate) - made, _MOST_OPEN - len(calls))):
            calls.add(task := asyncio.create_task(call()))
            task.add_done_callback(calls.discard)
            made += 1
        await asyncio.sleep(0.005)
    await asyncio.gather(*tuple(calls))
    await room.disconnect()
    return Flooded(rate=made / seconds, codes=dict(codes))


if __name__ == "__main__":
    server_url, own_token, calls_a_second, for_seconds = sys.argv[1:]
    found = asyncio.run(_flood(server_url, own_token, rate=float(calls_a_second), seconds=float(for_seconds)))
    print(json.dumps(asdict(found)))
