"""What `check` says about a ready token and remote control."""

from __future__ import annotations

import asyncio
import io
import time
from typing import TYPE_CHECKING

import jwt
import pytest

from device.check.command import obtain_token
from device.check.report import Report
from device.network.resolver import Resolver
from device.telemetry.attributes import Attributes
from device.tokens.selection import select
from tests.support.configs import config_of

if TYPE_CHECKING:
    from pathlib import Path

ALLOW = [{"identity": "ops-*", "operations": ["status"]}]


def said(folder: Path, *, allow: bool, data: bool) -> str:
    video = {"room": "r", "roomJoin": True, "canUpdateOwnMetadata": True, "canPublishData": data}
    token = jwt.encode({"sub": "porch", "video": video, "exp": int(time.time()) + 90_000_000}, "k" * 32)
    (folder / "token").write_text(token)
    config = config_of(
        {
            "room": {"url": "wss://h"},
            "credentials": {"token_file": str(folder / "token")},
            "control": {"allow": ALLOW if allow else []},
        }
    )
    stream = io.StringIO()
    token_source = select(config, attributes=Attributes(), directory=None)

    async def scenario() -> None:
        await obtain_token(Report(stream=stream), config, token_source, None, Resolver())

    asyncio.run(scenario())
    return stream.getvalue()


@pytest.mark.parametrize(("allow", "data", "wrong"), ((True, False, True), (True, True, False), (False, False, False)))
def test_a_token_that_does_not_allow_to_answer_is_a_problem(
    tmp_path: Path, *, allow: bool, data: bool, wrong: bool
) -> None:
    text = said(tmp_path, allow=allow, data=data)
    assert ("participants of the room get no answer: the token does not allow to send data" in text) is wrong
    assert "porch may publish in r" in text
