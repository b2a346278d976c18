"""A LiveKit agent in small, on the plain SDK: waits for a job, joins with its token, answers a tone with another."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import numpy as np
from livekit import api, rtc
from livekit.protocol import agent, models

from tests.support.talker import Talker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.livekit_server import Server

ANSWER_HZ = 700.0
_ASKED_HZ, _RATE = 1000, 48_000  # the beep of the device's synthetic microphone
_ANSWER_S, _LOUD = 0.5, 1500


class Agent:
    """One worker named `name`, which takes every job. `jobs` are those that it took."""

    def __init__(self, server: Server, name: str) -> None:
        self.jobs: list[agent.Job] = []
        self.identity = ""
        self._server, self._name = server, name
        self.registered = asyncio.Event()

    async def run(self) -> None:
        """Register, and work until cancelled."""
        grants = api.VideoGrants(agent=True)
        token = api.AccessToken(self._server.api_key, self._server.api_secret).with_grants(grants).to_jwt()
        async with (
            asyncio.TaskGroup() as tasks,
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self._server.url}/agent", headers={"Authorization": f"Bearer {token}"}) as socket,
        ):
            permissions = models.ParticipantPermission(
                can_publish=True, can_subscribe=True, can_publish_data=True, agent=True
            )
            await self._send(
                socket,
                agent.WorkerMessage(
                    register=agent.RegisterWorkerRequest(
                        type=agent.JT_ROOM, agent_name=self._name, version="0", allowed_permissions=permissions
                    )
                ),
            )
            async for each in socket:
                message = agent.ServerMessage.FromString(each.data)
                match message.WhichOneof("message"):
                    case "register":
                        self.registered.set()
                    case "availability":
                        job = message.availability.job
                        answer = agent.AvailabilityResponse(
                            job_id=job.id, available=True, participant_identity=f"agent-{job.id}"
                        )
                        await self._send(socket, agent.WorkerMessage(availability=answer))
                    case "assignment":
                        self.jobs.append(message.assignment.job)
                        tasks.create_task(self._work(message.assignment.token))

    @staticmethod
    async def _send(socket: aiohttp.ClientWebSocketResponse, message: agent.WorkerMessage) -> None:
        await socket.send_bytes(message.SerializeToString())

    async def _work(self, token: str) -> None:
        """Join, listen to the device, and answer."""
        room = rtc.Room()
        talker = Talker(room, ANSWER_HZ)
        talker.silent = True
        async with asyncio.TaskGroup() as tasks:
            room.on(
                "track_subscribed",
                lambda track, *_: tasks.create_task(self._listen(track, talker)) if _heard(track) else 0,
            )
            await room.connect(self._server.url, token)
            self.identity = room.local_participant.identity
            tasks.create_task(talker.talk())
            try:
                await talker.publish()
                await asyncio.Event().wait()
            finally:
                await room.disconnect()

    @staticmethod
    async def _listen(track: rtc.RemoteTrack, talker: Talker) -> None:
        """Answer each time the tone is heard."""
        answering_until = 0.0
        async for event in rtc.AudioStream(track, sample_rate=_RATE, num_channels=1):
            samples = np.frombuffer(event.frame.data, np.int16).astype(float)
            turned = np.exp(-2j * np.pi * _ASKED_HZ * np.arange(len(samples)) / _RATE)
            if 2 * abs(np.dot(samples, turned)) / len(samples) > _LOUD:
                answering_until = time.monotonic() + _ANSWER_S
            talker.silent = time.monotonic() > answering_until


def _heard(track: rtc.RemoteTrack) -> bool:
    return track.kind == rtc.TrackKind.KIND_AUDIO


@asynccontextmanager
async def working(server: Server, name: str) -> AsyncIterator[Agent]:
    """Run an agent that waits for jobs."""
    found = Agent(server, name)
    task = asyncio.create_task(found.run())
    try:
        async with asyncio.timeout(10):
            await found.registered.wait()
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
