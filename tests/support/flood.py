"""Participants that call the device as often as asked, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from livekit import rtc

from tests.support.go_program import GoProgram

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWER_S = 40.0  # the SDK takes 7 s of it for the way
_JOINED = b"joined\n"
CALLER: Final = GoProgram(name="caller", folder=Path(__file__).parent / "caller")
_MOST_OPEN = 100  # the SDK looks at all of them for each answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooded:
    """How many calls were made a second, and how many were answered with each code; 0 is a result.

    `used` is the share of a core that the callers took.
    """

    rate: float
    used: float
    codes: dict[str, int]

    @property
    def calls(self) -> int:
        return sum(self.codes.values())


async def flooded(
    url: str,
    *tokens: str,
    rate: float,
    seconds: float,
    command: Sequence[str | Path] = (sys.executable, "-m", __name__),
) -> Flooded:
    """Call `device.status` from one process for each token, without waiting for answers; return what was answered.

    The callers share the rate, and begin at the same time, once all have joined. With Python's SDK, the default, each
    makes 300 to 700 calls a second, and takes half a core; `CALLER` makes more.
    """
    share = str(rate / len(tokens))
    callers = [
        await asyncio.create_subprocess_exec(
            *(*command, url, token, share, str(seconds)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for token in tokens
    ]
    for each in callers:
        assert each.stdout
        assert await each.stdout.readline() == _JOINED
    outputs = await asyncio.gather(*(each.communicate(b"\n") for each in callers))
    assert [each.returncode for each in callers] == [0] * len(callers)
    found = [Flooded(**json.loads(output)) for output, _ in outputs]
    return Flooded(
        rate=sum(each.rate for each in found),
        used=sum(each.used for each in found),
        codes=dict(sum((Counter(each.codes) for each in found), Counter())),
    )


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

    print(_JOINED.decode(), end="", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    calls: set[asyncio.Task[None]] = set()
    made, began, used = 0, time.monotonic(), time.process_time()
    while (elapsed_s := time.monotonic() - began) < seconds:
        for _ in range(min(int(elapsed_s * rate) - made, _MOST_OPEN - len(calls))):
            calls.add(task := asyncio.create_task(call()))
            task.add_done_callback(calls.discard)
            made += 1
        await asyncio.sleep(0.005)
    took_s, used_s = time.monotonic() - began, time.process_time() - used
    await asyncio.gather(*tuple(calls))
    await room.disconnect()
    return Flooded(rate=made / took_s, used=used_s / took_s, codes=dict(codes))


if __name__ == "__main__":
    server_url, own_token, calls_a_second, for_seconds = sys.argv[1:]
    found = asyncio.run(_flood(server_url, own_token, rate=float(calls_a_second), seconds=float(for_seconds)))
    print(json.dumps(asdict(found)), flush=True)
    os._exit(0)  # the SDK's threads may panic while the interpreter ends
