"""Cameras and microphones that are disconnected and connected again, unchanged or with other properties."""

import asyncio
import json
import time
from dataclasses import dataclass, replace

import pytest

from tests.faults.figures import NEVER, as_text
from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.hearing import loudest_hz
from tests.lab.load import measuring_load
from tests.lab.microphone import LABMIC, LABMIC44, LABSTEREO, SOURCES, Microphones, Source
from tests.lab.root import VENV
from tests.lab.rows import Rows, all_rows
from tests.lab.service import MICROPHONE, Journal, Service
from tests.lab.witness import GAP_S, Witness, witnessing

pytestmark = pytest.mark.timeout(240)

FPS = 30
SLATE_S, BACK_S = 3.0, 3.0
GIVE_UP_S, AFTERWARDS_S = 20.0, 0.5
ABSENT_S, AWAY_S = 8.0, 30.0  # longer than the delays between the first attempts
CAMERA_NODE, MICROPHONE_NODE = "/dev/video7", "/dev/snd/pcmC1D0c"
SMALL: dict[str, object] = {"width": 640, "height": 480}  # a gap in it should be the daemon's, not the host's
STEREO = MICROPHONE | {"device": LABSTEREO.name}
NAMES = """
import json, pyaudio
library = pyaudio.PyAudio()
print(json.dumps([library.get_device_info_by_index(index)["name"] for index in range(library.get_device_count())]))
"""


async def plugged(service: Service, witness: Witness, journal: Journal, rows: Rows, what: str) -> None:
    """Connect the camera, and record when it is live, and the sound until then."""

    def plug() -> None:
        service.switch_camera("")
        service.plug_node(CAMERA_NODE)

    mark, at = journal.mark(), time.time()
    with measuring_load() as load:
        await asyncio.to_thread(plug)
        await witness.until_true(lambda: witness.live_s(at) < NEVER, within_s=GIVE_UP_S)
        await asyncio.sleep(AFTERWARDS_S)
    live_s, gap_s, story = witness.live_s(at), witness.sound_gap_s(at, time.time()), witness.story("device.camera", at)
    why = "its node" if journal.of("worker.device_connected", since=mark) else "the next try"
    rows.note(
        f"{what}: live after; the sound's longest gap; device.camera",
        f"{as_text(live_s)} s, by {why}; {gap_s:.2f} s; {' → '.join(story)} ({load})",
        must=f"<= {BACK_S:g} s; <= {GAP_S} s; live",
        ok=live_s <= BACK_S and gap_s <= GAP_S and story[-1:] == ["live"],
    )


def test_camera(service: Service, record: Record) -> None:
    async def watch(rows: Rows) -> None:
        async with witnessing(service.server, service.room) as witness:
            began = time.time()
            with service.running(camera={}) as journal:
                ready_s = time.time() - began
                await witness.until_true(lambda: len(witness.loud) > 100, within_s=GIVE_UP_S)
                await asyncio.sleep(ABSENT_S)
                text, state = (witness.attributes().get(f"device.{name}", "") for name in ("camera", "state"))
                starts = len(journal.of("worker.spawned", worker="camera"))
                rows.note(
                    "no camera at the start, and none before: READY after; device.camera; device.state; slate; starts "
                    f"of its worker in {ABSENT_S:g} s",
                    f"{ready_s:.1f} s; {text}; {state}; after {as_text(witness.slate_s(began))} s; {starts}",
                    must=f"<= {BACK_S:g} s; not present; live; none; 1",
                    ok=ready_s <= BACK_S
                    and (text, state, starts) == ("not present", "live", 1)
                    and witness.slate_s(began) == NEVER,
                )
                await plugged(service, witness, journal, rows, f"the camera appears {ABSENT_S:g} s later")
                await witness.ready(fps=FPS)
                at = time.time()
                await asyncio.to_thread(service.switch_camera, "absent")
                await asyncio.to_thread(service.unplug_node, CAMERA_NODE)
                await asyncio.sleep(AWAY_S)
                text, gap_s = witness.attributes().get("device.camera", ""), witness.sound_gap_s(at, time.time())
                rows.note(
                    f"the camera is taken away for {AWAY_S:g} s: slate; device.camera; the sound's longest gap",
                    f"{as_text(witness.slate_s(at))} s; {text}; {gap_s:.2f} s",
                    must=f"<= {SLATE_S:g} s; absent: …; <= {GAP_S} s",
                    ok=witness.slate_s(at) <= SLATE_S and text.startswith("absent: ") and gap_s <= GAP_S,
                )
                await plugged(service, witness, journal, rows, "and comes back")
                assert not journal.of("room.left")

    service.switch_camera("absent")
    service.machine.run(("rm", "-f", "/var/lib/livekit-device/detected.json"))
    try:
        with all_rows(record) as rows:
            asyncio.run(watch(rows))
    finally:
        service.unplug_node(CAMERA_NODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """The properties of the microphone that is connected again."""

    name: str
    rate_hz: int
    order: tuple[Source, ...]


RETURNS = (
    Return(name="under another number", rate_hz=48000, order=(LABSTEREO, LABMIC, LABMIC44)),
    Return(name="at 44.1 kHz", rate_hz=44100, order=(LABMIC, LABSTEREO, LABMIC44)),
)


def number(service: Service) -> int:
    """Return PortAudio's number of the microphone, which must be free."""
    done = service.machine.run((f"{VENV}/bin/python", "-c", NAMES), env={"LD_PRELOAD": stand_ins.PRELOAD})
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names.index(LABSTEREO.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplugging:
    """Disconnects the microphone of a service that publishes it, and connects it again."""

    service: Service
    microphones: Microphones
    witness: Witness
    journal: Journal

    async def through(self, back: Return, rows: Rows) -> None:
        """Record the results."""
        witness = self.witness
        await witness.ready(fps=FPS)
        mark, gone_at = self.journal.mark(), time.time()
        with measuring_load() as load:
            await asyncio.to_thread(self.unplug)
            await asyncio.sleep(ABSENT_S)
            text, back_at = witness.attributes().get("device.microphone", ""), time.time()
            await asyncio.to_thread(self.plug, back)
            await witness.until_true(lambda: witness.sound_s(gone_at) < NEVER, within_s=GIVE_UP_S)
            await asyncio.sleep(2 * AFTERWARDS_S)
        sound_s = gone_at + witness.sound_s(gone_at) - back_at
        noises, gap_s = witness.noises(gone_at, back_at + sound_s), witness.picture_gap_s(gone_at, time.time())
        hz, wanted_hz = loudest_hz(list(witness.sound)[-50:], 0), LABSTEREO.tones_hz[0]
        rates = [line["native_rate"] for line in self.journal.of("worker.capturing", since=mark)]
        story = witness.story("device.microphone", gone_at)
        rows.note(
            f"microphone gone for {ABSENT_S:g} s, and back {back.name}: sound after; noises meanwhile; the tone; "
            "the picture's longest gap; device.microphone",
            f"{as_text(sound_s)} s; {noises}; {hz:.0f} Hz, read at {rates}; {gap_s:.2f} s; {' → '.join(story)} "
            f"({load})",
            must=f"<= {BACK_S:g} s; 0; {wanted_hz} ± 2 Hz at {back.rate_hz}; <= {GAP_S} s; absent: …, then live",
            ok=sound_s <= BACK_S
            and not noises
            and abs(hz - wanted_hz) <= 2
            and rates == [back.rate_hz]
            and gap_s <= GAP_S
            and text.startswith("absent: ")
            and story[-1:] == ["live"],
        )

    def unplug(self) -> None:
        self.microphones.unplug(LABSTEREO)
        self.service.unplug_node(MICROPHONE_NODE)

    def plug(self, back: Return) -> None:
        changed = replace(LABSTEREO, rate_hz=back.rate_hz)
        self.microphones.enumerate(*(changed if each is LABSTEREO else each for each in back.order))
        self.microphones.plug(changed)
        self.service.plug_node(MICROPHONE_NODE)


def test_microphone(service: Service, record: Record, microphones: Microphones) -> None:
    async def watch(rows: Rows) -> None:
        async with witnessing(service.server, service.room) as witness:
            with service.running(camera=SMALL, microphone=STEREO) as journal:
                unplugging = Unplugging(service=service, microphones=microphones, witness=witness, journal=journal)
                for back in RETURNS:
                    await unplugging.through(back, rows)
                assert not journal.of("room.left")

    numbers = [number(service)]
    service.plug_node(MICROPHONE_NODE)
    try:
        for back in RETURNS:
            microphones.enumerate(*back.order)
            numbers.append(number(service))
        assert len(set(numbers)) == 3, numbers
        microphones.enumerate(*SOURCES)
        with all_rows(record) as rows:
            asyncio.run(watch(rows))
    finally:
        service.unplug_node(MICROPHONE_NODE)
        microphones.unplug(LABSTEREO)
        microphones.enumerate(*SOURCES)
        microphones.plug(LABSTEREO)
