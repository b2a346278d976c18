"""One process per machine for each identity in a room."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid

import pytest

from device.room.claim import IdentityClaim, IdentityInUseError

URL = "wss://room.example"


@pytest.fixture
def room() -> str:
    return uuid.uuid4().hex


def test_a_second_claim_is_refused_with_the_holder(room: str) -> None:
    first, second = IdentityClaim(), IdentityClaim()
    first.take([URL], room=room, identity="porch")
    first.take([URL], room=room, identity="porch")  # as before each join
    with pytest.raises(
        IdentityInUseError, match=rf"'porch' is in '{room}' already, .* \(pid {os.getpid()}\)"
    ) as caught:
        second.take([URL], room=room, identity="porch")
    assert caught.value.retry
    second.take([URL], room=room, identity="garden")
    second.take(["wss://other.example"], room=room, identity="porch")
    first.release()
    second.take([URL], room=room, identity="porch")
    second.release()


def test_the_claim_ends_with_its_process(room: str) -> None:
    script = (
        "import sys; from device.room.claim import IdentityClaim; claim = IdentityClaim(); "
        f"claim.take([{URL!r}], room={room!r}, identity='porch'); print('taken', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "taken\n"
        ours = IdentityClaim()
        with pytest.raises(IdentityInUseError, match=f"pid {holder.pid}"):
            ours.take([URL], room=room, identity="porch")
        holder.kill()
        holder.wait()
    ours.take([URL], room=room, identity="porch")
    ours.release()


@pytest.mark.parametrize("same", ("wss://room.example:443", "wss://ROOM.example/", "wss://user:word@room.example"))
def test_equivalent_urls_are_the_same_claim(room: str, same: str) -> None:
    first, second = IdentityClaim(), IdentityClaim()
    first.take([URL], room=room, identity="porch")
    with pytest.raises(IdentityInUseError):
        second.take([same], room=room, identity="porch")
    second.take(["wss://room.example:7880"], room=room, identity="porch")  # another server of the same host
    first.release()
    second.release()


def test_one_claimed_server_of_several_is_enough_and_no_claim_is_kept(room: str) -> None:
    first, second, third = IdentityClaim(), IdentityClaim(), IdentityClaim()
    first.take([URL, "wss://b.example"], room=room, identity="porch")
    for urls in (["wss://a.example", "wss://b.example"], ["wss://b.example", "wss://a.example"]):
        with pytest.raises(IdentityInUseError):
            second.take(urls, room=room, identity="porch")
    third.take(["wss://a.example"], room=room, identity="porch")
    first.take([URL], room=room, identity="porch")  # the claim of the server that is no longer listed is released
    second.take(["wss://b.example"], room=room, identity="porch")
    for each in (first, second, third):
        each.release()


def test_the_holder_is_named_at_each_attempt(room: str) -> None:
    async def scenario() -> None:
        first, second = IdentityClaim(), IdentityClaim()
        first.take([URL], room=room, identity="porch")
        for _ in range(300):
            with pytest.raises(IdentityInUseError, match=f"pid {os.getpid()}"):
                second.take([URL], room=room, identity="porch")
            await asyncio.sleep(0)
        first.release()

    asyncio.run(scenario())
