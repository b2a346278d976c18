"""The step of `check` for the speaker: plays a tone, and listens with a microphone of this device."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device.check import tone
from device.clock import monotonic_us
from device.errors import NotPresentError, SourceError
from device.ipc import worker_process
from device.ipc.media_messages import PLAYED_MS, PlaySound
from device.ipc.messages import Capturing
from device.media.block import SAMPLE_BYTES, SAMPLE_RATE, Block
from device.privacy import Privacy
from device.speaker.in_time import blocks_in_time
from device.speaker.plan import NAME, plan_speaker
from device.streams.plan import plan_streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device.check.report import Report
    from device.config.effective import Config
    from device.ipc.framing import Received
    from device.ipc.worker_plan import WorkerPlan

_FIRST_S = 20.0
_NOISE_S, _LISTEN_S = 0.6, 2.5  # before the tone; from its begin on: speakers with radio are late
_TRIES = 3  # a busy board plays a tone with gaps, and a voice may cover it
_LATE_S = 5.0  # a microphone that captures less than all the time


class _Device:
    """A worker of a microphone or a speaker, what it says, and the sound that it captures."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.opened: Capturing | None = None
        self.delivers = asyncio.Event()
        self.captured = bytearray()
        self.child: worker_process.WorkerProcess  # while it runs

    def on_message(self, received: Received) -> None:
        match received.message:
            case Capturing():
                self.opened = received.message
            case Block():
                self.captured += received.message.samples
        if self.opened:
            self.delivers.set()

    @property
    def device(self) -> str:
        return self.opened.device if self.opened else self.name

    async def until(self, event: asyncio.Event, *, within_s: float, lacks: str) -> None:
        """Wait for an event. Raises SourceError if the worker ends, or if the time is over."""
        waiting = asyncio.create_task(event.wait())
        either: set[asyncio.Future[Any]] = {waiting, self.child.gone}
        try:
            await asyncio.wait(either, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self.child.gone.done():
            failure = NotPresentError if self.child.failure == NotPresentError.__name__ else SourceError
            raise failure(f"{self.name}: {self.child.gone.result() or 'its worker ended'}")
        if not event.is_set():
            raise SourceError(f"{self.name}: {lacks} within {within_s:.0f} s")

    async def hears(self, duration_s: float, *, channels: int) -> bytes:
        """Return what it captures from now on for so long. Raises SourceError."""
        self.captured.clear()
        size = round(duration_s * SAMPLE_RATE) * SAMPLE_BYTES * channels
        enough = asyncio.Event()

        async def look() -> None:
            while len(self.captured) < size:  # noqa: ASYNC110 - the worker's messages have no end to wait for
                await asyncio.sleep(PLAYED_MS / 1000)
            enough.set()

        looking = asyncio.create_task(look())
        try:
            await self.until(enough, within_s=duration_s + _LATE_S, lacks="too little sound")
        finally:
            looking.cancel()
        return bytes(self.captured[:size])


async def check(report: Report, config: Config, service: dict[str, Any]) -> bool:
    """Report whether the speaker is heard. If the running service uses it, report its state instead.

    Return whether the speaker can be used: a speaker that is not heard may be in another room.
    """
    if not config.speaker.on:
        return True
    if service:
        state = str(service.get(NAME, "")) or "not known"
        held = f"the running service (pid {service['pid']}) uses it, its state is: {state}"
        report.skipped(NAME, f"{held}; stop the service to hear a tone")
        return True
    try:
        with report.busy(NAME, "playing a tone"):
            tried = await heard(config)
    except NotPresentError as error:
        report.skipped(NAME, f"not present ({error})")
    except SourceError as error:
        report.bad(NAME, str(error))
        return False
    else:
        if tried.hearing is None or tried.hearing.level_db is not None:
            report.good(NAME, str(tried))
        else:
            report.warn(NAME, str(tried), hint="turn it up (volume_db, alsamixer), and look at its cable")
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a tone; `hearing` is None if no microphone of this device may listen."""

    speaker: str
    microphone: str = ""
    hearing: tone.Hearing | None = None

    def __str__(self) -> str:
        if self.hearing is None:
            return f"{self.speaker} plays; no microphone of this device can hear it"
        return f"{self.speaker}: a tone was {self.hearing} ({self.microphone})"


async def heard(config: Config) -> Tried:
    """Play a tone on the speaker, and listen. Raises SourceError."""
    async with AsyncExitStack() as stack:
        speaker = await stack.enter_async_context(_running(NAME, plan_speaker(config.speaker)))
        microphone, channels = None, 0
        if listening := listener(config):
            name, channels, plan = listening
            microphone = await stack.enter_async_context(_running(name, plan))
        for each in (speaker, microphone):
            if each is not None:
                await each.until(each.delivers, within_s=_FIRST_S, lacks="it does not begin")
        if microphone is None:
            return Tried(speaker=speaker.device)
        for _ in range(_TRIES):
            found = await _hearing(speaker, microphone, channels=channels)
            if found.level_db is not None:
                break
        return Tried(speaker=speaker.device, microphone=microphone.device, hearing=found)


async def _hearing(speaker: _Device, microphone: _Device, *, channels: int) -> tone.Hearing:
    noise = await microphone.hears(_NOISE_S, channels=channels)
    playing = asyncio.create_task(_play(speaker.child))
    try:
        sound = await microphone.hears(_LISTEN_S, channels=channels)
    finally:
        playing.cancel()
    return tone.heard(noise, sound, channels=channels)


def listener(config: Config) -> tuple[str, int, WorkerPlan] | None:
    """Return name, channels and plan of the first microphone of this device that may capture."""
    privacy, plans = Privacy.of_service(), {each.name: each for each in plan_streams(config)}
    for each in config.active_microphones:
        if each.table.source in ("auto", "pyaudio") and not privacy.covers(each.name):
            return each.label, each.table.channels, plans[each.name].worker
    return None


async def _play(child: worker_process.WorkerProcess) -> None:
    """Send the tone as the daemon sends talk."""
    async for block in blocks_in_time(tone.tone()):
        child.send(PlaySound(samples=block, arrived_at_us=monotonic_us()))


@asynccontextmanager
async def _running(name: str, plan: WorkerPlan) -> AsyncIterator[_Device]:
    device = _Device(name)
    try:
        spawned = await worker_process.spawn(name=plan.name, module=plan.module, job=plan.job)
    except OSError as error:
        raise SourceError(f"{name}: its worker cannot be started: {error.strerror}") from None
    async with worker_process.running(spawned, on_message=device.on_message) as device.child:
        yield device
