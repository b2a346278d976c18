"""A LiveKit agent talks with the device: the device's token asks for it, and [speaker] allows its identity."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np
from livekit import api

from tests.support import daemon as daemons
from tests.support.agent import ANSWER_HZ, working
from tests.support.sound_card import SoundCard
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

_WITHIN_S = 45.0
_RATE = 48_000


def token_with_agent(server: Server, room: str) -> str:
    """Return the device's token, as docs/agents.md has it."""
    return (
        api.AccessToken(server.api_key, server.api_secret)
        .with_identity("device")
        .with_grants(
            api.VideoGrants(
                room_join=True,
                room=room,
                can_publish=True,
                can_subscribe=True,
                can_publish_data=True,
                can_update_own_metadata=True,
            )
        )
        .with_room_config(
            api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name="assistant", metadata="front door")])
        )
        .to_jwt()
    )


def answers(card: SoundCard) -> int:
    """Return how many fifths of a second of what was played are the agent's tone."""
    played = [each.samples for each in card.played()]
    found = 0
    for at in range(0, len(played) - 20, 20):
        samples = np.concatenate(played[at : at + 20]).astype(float)
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        hz = np.arange(len(power)) * _RATE / len(samples)
        found += bool(power.sum() > 1e9 and power[np.abs(hz - ANSWER_HZ) < 30].sum() > 0.8 * power.sum())
    return found


def test_an_agent_that_the_token_dispatches_answers_from_the_speaker(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        card, path = SoundCard(tmp_path), tmp_path / "token"
        path.write_text(token_with_agent(server, room))
        variables = daemons.environment(
            server,
            room,
            **card.variables,
            DEVICE_CREDENTIALS__API_KEY="",
            DEVICE_CREDENTIALS__API_SECRET="",
            DEVICE_CREDENTIALS__TOKEN_FILE=str(path),
            DEVICE_SPEAKER__ALLOW=json.dumps(["agent-*"]),
        )
        async with working(server, "assistant") as agent:
            with daemons.running(config, variables) as daemon:
                await asyncio.to_thread(daemon.event, "device.state", new="live", within_s=_WITHIN_S)
                async with watching(server, room) as watcher, asyncio.timeout(_WITHIN_S):
                    talkers: set[str] = set()
                    while answers(card) < 3 or not talkers:
                        talkers |= {watcher.attributes("device").get("device.talker", "")} - {""}
                        await asyncio.sleep(0.05)
                assert [(each.agent_name, each.metadata) for each in agent.jobs] == [("assistant", "front door")]
                assert talkers == {agent.identity}
                assert agent.identity.startswith("agent-")
                await asyncio.to_thread(daemon.stop)

    asyncio.run(scenario())
