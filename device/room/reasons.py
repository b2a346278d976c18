"""Why a session ended, and what to do about it: one table. docs/reliability.md has the same for operators."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Response(enum.Enum):
    """What the device does next."""

    RETRY = "probe, then join again"
    WAIT = "wait, then join again"
    LOOK = "check who else has this identity, then join again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What to do, in words for people, and for WAIT how long: doubling from `first_s` to `most_s`."""

    response: Response
    text: str
    first_s: float = 0.0
    most_s: float = 0.0


# Our own, beside the SDK's names (livekit protocol: DisconnectReason).
DELIVERY_STALLED = "DELIVERY_STALLED"
SERVER_AWAY = "SERVER_AWAY"
SERVER_RETURNED = "SERVER_RETURNED"
SDK_RECONNECTING = "SDK_RECONNECTING"
ADDRESS_CHANGED = "ADDRESS_CHANGED"
DUPLICATE_IDENTITY = "DUPLICATE_IDENTITY"

_TABLE = {
    DELIVERY_STALLED: Reason(response=Response.RETRY, text="the server does not confirm what is sent"),
    SERVER_AWAY: Reason(response=Response.RETRY, text="the server went away, another one answers"),
    SERVER_RETURNED: Reason(response=Response.RETRY, text="the server was away and is back"),
    SDK_RECONNECTING: Reason(response=Response.RETRY, text="the SDK did not reconnect in time"),
    ADDRESS_CHANGED: Reason(response=Response.RETRY, text="this device's own address changed"),
    # A fresh token is had before each join anyway: JOIN_FAILURE is the server's 401 and 403 in mid-stream.
    "JOIN_FAILURE": Reason(response=Response.RETRY, text="the server refused the token"),
    "ROOM_DELETED": Reason(response=Response.WAIT, text="the room was deleted", first_s=60, most_s=60),
    "ROOM_CLOSED": Reason(response=Response.WAIT, text="the room was closed", first_s=60, most_s=60),
    "PARTICIPANT_REMOVED": Reason(
        response=Response.WAIT, text="this device was removed from the room", first_s=300, most_s=1800
    ),
    DUPLICATE_IDENTITY: Reason(response=Response.LOOK, text="another participant joined under this device's identity"),
}


def reason_of(name: str) -> Reason:
    """Return what to do about a reason; for one that is not in the table: join again."""
    return _TABLE.get(name) or Reason(response=Response.RETRY, text=f"the connection ended ({name})")
