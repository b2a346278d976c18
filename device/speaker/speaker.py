"""The speaker, complete: its worker, what it plays, and whose voice."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from device.clock import monotonic_us
from device.errors import CallError
from device.ipc.messages import SetGain
from device.ipc.requester import Requester
from device.ipc.supervisor import Supervisor
from device.ipc.worker_state import WorkerState
from device.redaction import public_text
from device.speaker.floor import Floor
from device.speaker.in_time import blocks_in_time
from device.speaker.plan import NAME, plan_speaker
from device.speaker.playback import Playback
from device.speaker.subscriptions import Talkers
from device.speaker.talk_call import TalkCall

if TYPE_CHECKING:
    from livekit import rtc

    from device.config import effective
    from device.ipc.media_messages import SpeakerReport
    from device.ipc.worker_counts import WorkerCounts
    from device.lifecycle.deadlines import Deadlines
    from device.telemetry.attributes import Attributes

_SOUND = "\0sound"  # no identity
_FILL_S = 0.02
_MAX_TALKERS_TEXT = 512


class Speaker:
    """Plays talkers and sounds while `run` runs. `attributes` get the state as `device.speaker`.

    `worker_state` is the state, `why` the reason for it.

    A speaker that is disconnected, busy or hangs affects nothing else: what is played meanwhile is dropped.
    """

    def __init__(self, table: effective.Speaker, *, attributes: Attributes, deadlines: Deadlines) -> None:
        self._table, self._attributes = table, attributes
        requests = Requester(NAME)
        self._playing = asyncio.Event()
        self.playback = Playback(
            send=lambda sound: self.live and requests.tell(sound), steer=requests.post, on_begin=self._playing.set
        )
        self._supervisor = Supervisor(
            plan_speaker(table),
            requests=requests,
            on_media=self._reported,
            on_state=self._on_state,
            deadlines=deadlines,
        )
        self._floor = Floor(allow=tuple(table.allow), exclusive=table.exclusive, max_s=table.max_s)
        self._talkers = Talkers(self._floor, self.playback, on_heard=self._on_heard)
        self._calls = TalkCall(self._floor, on_change=self._talkers.changed)
        self._sounding = False
        self._on_state(WorkerState.STARTING, "")
        self._set_mode()

    @property
    def live(self) -> bool:
        """Whether sound is heard."""
        return self._supervisor.state is WorkerState.LIVE

    @property
    def state(self) -> str:
        """The state, as viewers read it."""
        state = self.worker_state.value
        return public_text(f"{state}: {self.why}") if self.why else state

    @property
    def talkers(self) -> tuple[str, ...]:
        """The identities of the participants that are heard, the first one first."""
        return self._floor.heard

    @property
    def counts(self) -> WorkerCounts:
        """What became of its workers."""
        return self._supervisor.counts

    def serve(self, room: rtc.Room) -> None:
        """Hear the talkers of this Room from now on, until `leave`."""
        self._calls.serve(room)
        self._talkers.serve(room)

    def leave(self) -> None:
        """Hear nobody, because the room is left."""
        self._talkers.leave()

    def use(self, table: effective.Speaker) -> None:
        """Use other settings; another source or device needs a new process."""
        if table.volume_db != self._table.volume_db:
            self._supervisor.requests.post(SetGain(gain_db=table.volume_db))
        self._table = table
        self._floor.allow, self._floor.exclusive = tuple(table.allow), table.exclusive
        self._floor.max_s = table.max_s
        self._set_mode()
        self._talkers.look()
        self._supervisor.replace_plan(plan_speaker(table))

    async def run(self) -> None:
        """Play until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._supervisor.run(), name="speaker-worker")
            tasks.create_task(self._fill(), name="speaker-echo")
            tasks.create_task(self._talkers.run(), name="talkers")

    async def play(self, pcm: bytes) -> None:
        """Play a sound, 48 kHz, mono, 16 bits, beside what talkers say; return when it was played.

        Raises CallError if there is no speaker, or none any more, or if another sound is being played.
        """
        if not self.live:
            raise CallError(f"the speaker is not there: {self.state}")
        if self._sounding:
            raise CallError("another sound is being played")
        self._sounding = True
        try:
            async for block in blocks_in_time(pcm):
                if not self.live:
                    raise CallError(f"the speaker is not there any more: {self.state}")
                self.playback.feed(_SOUND, block, monotonic_us())
        finally:
            self.playback.end(_SOUND)
            self._sounding = False
        await asyncio.sleep(self.playback.delay_ms / 1000)

    async def _fill(self) -> None:
        """Keep the stream of an echo canceller complete."""
        while True:
            await self._playing.wait()
            if not self.playback.fill(monotonic_us()):
                self._playing.clear()
            await asyncio.sleep(_FILL_S)

    def _reported(self, report: SpeakerReport) -> None:
        self.playback.reported(report, time.monotonic())

    def _on_heard(self, heard: tuple[str, ...]) -> None:
        self._attributes.set_long("talker", ", ".join(heard), most_characters=_MAX_TALKERS_TEXT)

    def _set_mode(self) -> None:
        """Let pages know whether one voice excludes the others."""
        self._attributes.set(speaker_mode="exclusive" if self._floor.exclusive else "mixed")

    def _on_state(self, state: WorkerState, why: str) -> None:
        self.worker_state, self.why = state, public_text(why)
        self._attributes.set(speaker=self.state)
        if state is WorkerState.LIVE:
            self.playback.worker_started()
