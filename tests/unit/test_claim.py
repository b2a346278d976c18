"""One process of a machine for each identity in a room."""

from __future__ import annotations

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


def test_the_second_is_refused_and_told_who_has_it(room: str) -> None:
    first, second = IdentityClaim(), IdentityClaim()
    first.take(URL, room=room, identity="porch")
    first.take(URL, room=room, identity="porch")  # again before each join
    with pytest.raises(
        IdentityInUseError, match=rf"'porch' is in '{room}' already, .* \(pid {os.getpid()}\)"
    ) as caught:
        second.take(URL, room=room, identity="porch")
    assert caught.value.retry
    second.take(URL, room=room, identity="garden")
    second.take("wss://other.example", room=room, identity="porch")
    first.release()
    second.take(URL, room=room, identity="porch")
    second.release()


def test_the_claim_ends_with_its_process(room: str) -> None:
    script = (
        "import sys; from device.room.claim import IdentityClaim; claim = IdentityClaim(); "
        f"claim.take({URL!r}, room={room!r}, identity='porch'); print('taken', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "taken\n"
        ours = IdentityClaim()
        with pytest.raises(IdentityInUseError, match=f"pid {holder.pid}"):
            ours.take(URL, room=room, identity="porch")
        holder.kill()
        holder.wait()
    ours.take(URL, room=room, identity="porch")
    ours.release()
