"""Talkback on real PortAudio: who is heard from the speaker, and a speaker that is unplugged."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from livekit import rtc

from tests.lab.conftest import Record
from tests.lab.hearing import hears
from tests.lab.microphone import LABMIC, Microphones
from tests.lab.service import IDENTITY, MICROPHONE, Journal, Service
from tests.lab.speakers import ROOM, SPEAKER, Speaker
from tests.lab.test_check import command, rows
from tests.support.talker import talking
from tests.support.tokens import token
from tests.support.watcher import Watcher

SPEAKING = {"source": "pyaudio", "device": SPEAKER, "allow": ["ops-*"]}
CAMERA = {"width": 640, "height": 480}
WITHIN_S, SILENT_S, _QUIET_S = 30.0, 1.5, 1.0
ABSENT = 0.001  # of full scale; a talker's tone is 0.09


@pytest.fixture
def speaker(microphones: Microphones, service: Service) -> Iterator[Speaker]:
    """Connect a speaker, for the time of a test."""
    connected = Speaker(service.machine, microphones)
    connected.start()
    yield connected
    connected.stop()


@asynccontextmanager
async def watching_device(service: Service) -> AsyncIterator[Watcher]:
    """Join as a viewer that receives the device and no talker, so that only the device subscribes to talkers."""

    def on_published(publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        publication.set_subscribed(who.identity == IDENTITY)

    watcher = Watcher(rtc.Room())
    watcher.room.on("track_published", on_published)
    options = rtc.RoomOptions(auto_subscribe=False)
    await watcher.room.connect(service.server.url, token(service.server, service.room, identity="watcher"), options)
    try:
        yield watcher
    finally:
        await watcher.aclose()


@asynccontextmanager
async def talkback(service: Service) -> AsyncIterator[tuple[Journal, Watcher]]:
    """Run a device with camera, microphone and speaker, which are live, and a viewer that receives it."""
    async with watching_device(service) as watcher:
        with service.running(camera=CAMERA, speaker=SPEAKING) as journal:
            await journal.soon("worker.state", worker="speaker", new="live", within_s=WITHIN_S)
            await watcher.until_received(within_s=WITHIN_S)
            yield journal, watcher


async def until(speaker: Speaker, holds: Callable[[], object], *, what: str, within_s: float = WITHIN_S) -> float:
    return await asyncio.to_thread(speaker.until, holds, within_s=within_s, what=what)


def test_who_is_heard(service: Service, speaker: Speaker, record: Record) -> None:
    async def scenario() -> None:
        server, room = service.server, service.room
        async with (
            talkback(service) as (journal, watcher),
            talking(server, room, identity="guest", tone_hz=3000) as guest,
        ):
            async with talking(server, room, identity="ops-1", tone_hz=600) as first:
                await until(speaker, lambda: speaker.plays(600), what="the first talker's tone")
                async with talking(server, room, identity="ops-2", tone_hz=1500) as second:
                    await watcher.until(
                        lambda: watcher.attributes(IDENTITY).get("device.talker") == "ops-1",
                        within_s=10,
                        what="the attribute",
                    )
                    async with asyncio.timeout(WITHIN_S):
                        await second.subscribed.wait()
                    with pytest.raises(rtc.RpcError) as refused:
                        await second.call('{"on": true}')
                    await asyncio.sleep(1)
                    shares = {hz: speaker.share(hz, 1.0) for hz in (600, 1500, 3000)}
                    record(
                        "talkback: one talks, another asks for the floor, one that is not allowed talks too: tones",
                        f"{ {hz: round(share, 4) for hz, share in shares.items()} } of full scale; the second: "
                        f"{refused.value.code} {refused.value.message}; guest subscribed to: "
                        f"{guest.subscribed.is_set()}",
                        must=f"600 Hz, the others below {ABSENT}; 409 busy: ops-1 is talking; False",
                        ok=shares[600] > 0.01
                        and max(shares[1500], shares[3000]) < ABSENT
                        and (refused.value.code, refused.value.message) == (409, "busy: ops-1 is talking")
                        and not guest.subscribed.is_set(),
                    )
                    await first.room.disconnect()
                    next_s = await until(speaker, lambda: speaker.plays(1500), what="the next talker's tone")
                    left_at = time.monotonic()
            await until(speaker, lambda: speaker.silent(_QUIET_S), what="silence")
            silent_s = time.monotonic() - left_at - _QUIET_S
            async with talking(server, room, identity="ops-3", tone_hz=900):
                await until(speaker, lambda: speaker.plays(900), what="the third talker's tone")
            record(
                "talkback: a talker leaves mid-word: until the one that waits is heard; the last one: until silence",
                f"{next_s:.1f} s; {silent_s:.1f} s; the next one is heard",
                must=f"below {SILENT_S} s each; no error",
                ok=max(next_s, silent_s) < SILENT_S and not [each for each in journal.lines if each["priority"] <= 3],
            )

    asyncio.run(scenario())


def test_speaker_unplugged_and_back(service: Service, speaker: Speaker, record: Record) -> None:
    async def scenario() -> None:
        async with (
            talkback(service) as (journal, watcher),
            talking(service.server, service.room, identity="ops-1", tone_hz=600),
        ):

            def state() -> str:
                return watcher.attributes(IDENTITY).get("device.speaker", "")

            await until(speaker, lambda: speaker.plays(600), what="the tone")
            mark, restarts = journal.mark(), len(journal.of("worker.restarting"))
            await asyncio.to_thread(speaker.unplug)
            line = await journal.soon("worker.restarting", worker="speaker", since=mark)
            await watcher.until(
                lambda: state().startswith(("absent: ", "stalled: ")), within_s=20, what="the attribute"
            )
            meanwhile = state()
            await watcher.until_received(within_s=10)
            await hears(watcher, 440)
            await asyncio.to_thread(speaker.plug)
            back_s = await until(speaker, lambda: speaker.plays(600), what="the tone again", within_s=60)
            await watcher.until(lambda: state() == "live", within_s=10, what="the attribute")
            await watcher.until_received(within_s=10)
            others = [
                each["worker"] for each in journal.of("worker.restarting")[restarts:] if each["worker"] != "speaker"
            ]
            record(
                "talkback: speaker unplugged, and back",
                f"{line['why']}; device.speaker = {meanwhile!r}; heard again after {back_s:.1f} s; "
                f"others restarted: {others or 'none'}",
                must="was disconnected; absent or stalled; heard again; picture and microphone go on, in the same room",
                ok="was disconnected" in line["why"] and not others and not journal.of("room.left"),
            )

    asyncio.run(scenario())


@pytest.mark.usefixtures("speaker")
@pytest.mark.parametrize("microphone", (ROOM, LABMIC.name))
def test_check_listens(service: Service, record: Record, microphone: str) -> None:
    service.configure(microphone=MICROPHONE | {"device": microphone}, speaker=SPEAKING)
    service.give_credentials()
    done = command(service.machine, "check")
    line = rows(done).get("speaker", "")
    near = microphone == ROOM
    record(
        f"check: the speaker, with a microphone that {'hears it' if near else 'does not'}; exit code",
        f"{line}; {done.returncode}",
        must="heard at … dB; 0" if near else "not heard; 0",
        ok=("a tone was heard at" if near else "not heard") in line and done.returncode == 0,
    )
