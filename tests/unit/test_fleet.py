"""Which participants are devices, what they may say of themselves, and how they are shown."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from device.errors import CredentialError, UnreachableError
from device.fleet import listing
from device.fleet.found import FoundDevice, devices_of
from device.fleet.listing import Listing, listed
from device.fleet.table import table
from device.network.probe import ProbeResult

NOW_S = 1_790_000_000.0
HEALTH = {
    "state": "live",
    "version": "1.2.3",
    "started": NOW_S - 7200,
    "memory_mb": 63,
    "temperature_c": 51,
    "throttled": ["under-voltage"],
    "streams": {},
}


def participant(identity: object = "door", **attributes: object) -> dict[str, Any]:
    named = {f"device.{key.replace('__', '.')}": value for key, value in attributes.items()}
    return {"identity": identity, "attributes": named}


def one(**attributes: object) -> FoundDevice:
    (found,) = devices_of("hall", [participant(**{"state": "live"} | attributes)], now_s=NOW_S)
    return found


def test_a_participant_with_a_state_is_a_device() -> None:
    others = [{"identity": "viewer", "attributes": {}}, {"identity": "odd"}, "text", None, participant(state=7)]
    found = list(devices_of("hall", [*others, participant(state="live", version="1.2.3")], now_s=NOW_S))
    assert [(each.identity, each.state, each.version) for each in found] == [("door", "live", "1.2.3")]


def test_health_and_streams_are_read() -> None:
    found = one(
        health=json.dumps(HEALTH),
        camera="stalled: nothing came for 2 s",
        microphone__hall="live",
        video="720p",
        x="y",
        speaker="live",
        speaker_mode="mixed",
        talker="anna",
    )
    assert (found.uptime_s, found.memory_mb, found.temperature_c) == (7200, 63, 51)
    assert found.throttled == ("under-voltage",)
    assert found.streams == {"camera": "stalled: nothing came for 2 s", "microphone.hall": "live", "speaker": "live"}


@pytest.mark.parametrize(
    "health",
    (
        "",
        "{",
        "[]",
        "7",
        "[" * 4000,
        '{"started": "soon", "memory_mb": true, "temperature_c": NaN, "throttled": "no"}',
        '{"started": 1e300, "memory_mb": [], "temperature_c": {}, "throttled": {}}',
        json.dumps({"x": "y" * 5000}),
        5,
        None,
    ),
)
def test_a_health_that_makes_no_sense_is_ignored(health: object) -> None:
    found = one(health=health)
    assert (found.uptime_s, found.memory_mb, found.temperature_c, found.throttled) == (None, None, None, ())


def test_what_participants_say_is_bounded_and_printable() -> None:
    names = {f"camera__{number}": "x" * 10_000 for number in range(100)}
    throttled = json.dumps({"throttled": ["\033[2J" * 2] * 100})
    (found,) = devices_of(
        "r\no", [participant("\033[31mroot\n", state="live\a", health=throttled, **names)], now_s=NOW_S
    )
    assert (found.room, found.identity, found.state) == ("r?o", "?[31mroot?", "live?")
    assert len(found.streams) == 16
    assert max(map(len, found.streams.values())) == 200
    assert len(found.throttled) == 8
    assert table([found], width=None, colours=False).isascii()
    assert "\033" not in table([found], width=None, colours=False)


def test_the_table_has_the_columns_that_are_known() -> None:
    bare = one(camera="live", microphone="live", version="1.2.3")
    assert table([bare], width=None, colours=False).splitlines() == [
        "ROOM  DEVICE  STATE  STREAMS                       VERSION",
        "hall  door    live   camera live, microphone live  1.2.3",
    ]
    full = one(health=json.dumps(HEALTH))
    assert table([full, bare], width=None, colours=False).splitlines()[1] == (
        "hall  door    live                                 2 h 0 min  51 C under-voltage  63 MB"
    )


@pytest.mark.parametrize("width", (40, 60, 80))
def test_the_table_fits_the_terminal(width: int) -> None:
    found = one(health=json.dumps(HEALTH), camera="live: " + "dark " * 30, state="recovering", version="1.2.3")
    lines = table([found], width=width, colours=False).splitlines()
    assert max(map(len, lines)) <= max(width, 8 * 8 + 2 * 7)
    assert "~" in lines[1]


def test_states_have_colours_on_a_terminal() -> None:
    shown = table([one(), one(state="recovering"), one(state="connecting")], width=80, colours=True)
    assert [line.count("\033[") for line in shown.splitlines()] == [0, 2, 2, 2]


class FakeServer:
    """Its rooms, with their participants; a room without any fails."""

    def __init__(self, rooms: dict[str, list[Any]]) -> None:
        self._rooms = rooms

    async def first(self, urls: object) -> ProbeResult:
        if not self._rooms:
            raise UnreachableError(f"{urls} does not answer")
        return ProbeResult(url="ws://server", address="", server_time_s=None)

    async def rooms(self, _at: object, _resolver: object) -> list[str]:
        return list(self._rooms)

    async def participants(self, _at: object, _resolver: object, room: str) -> list[Any]:
        if not self._rooms[room]:
            raise CredentialError("the server's list is longer than 4 MiB")
        return self._rooms[room]

    @staticmethod
    def server_time_s(_at: object) -> float:
        return NOW_S


def listing_of(rooms: dict[str, list[Any]], pattern: str = "*") -> Listing:
    server: Any = FakeServer(rooms)
    return asyncio.run(listed(("ws://server",), server, pattern, probe=server, resolver=server))


def test_rooms_are_chosen_by_pattern_and_devices_are_sorted() -> None:
    rooms: dict[str, list[Any]] = {
        "shop-2": [participant("b", state="live"), participant("a", state="live")],
        "shop-1": [{}],
        "x": [{}],
    }
    found = listing_of(rooms, "shop-*")
    assert (found.rooms, [(each.room, each.identity) for each in found.devices]) == (
        2,
        [("shop-2", "a"), ("shop-2", "b")],
    )
    assert found.live


def test_one_room_that_cannot_be_listed_does_not_hide_the_others() -> None:
    found = listing_of({"a": [], "b": [participant(state="live")]})
    assert [each.room for each in found.devices] == ["b"]
    assert found.problems == ("room a: the server's list is longer than 4 MiB",)
    assert not found.live


def test_there_are_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ROOMS", 2)
    monkeypatch.setattr(listing, "MAX_DEVICES", 3)
    found = listing_of({f"r{number}": [participant(state="live")] * 5 for number in range(4)})
    assert len(found.devices) == 6
    assert found.problems[0] == "4 rooms match; the first 2 are shown: use a narrower --room"
    assert not found.live


def test_no_device_and_a_device_that_is_not_live_are_not_well() -> None:
    assert not listing_of({"a": [{}]}).live
    assert not listing_of({"a": [participant(state="live"), participant("b", state="recovering")]}).live
