"""Why a session ended, and what to do about it: one table. docs/reliability.md has the same for operators."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final


class Response(enum.Enum):
    """What the device does next."""

    RETRY = "probe, then join again"
    WAIT = "wait, then join again"
    CHECK_IDENTITY = "check which other participant has this identity, then join again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a session ended: one object from where it is found to the log.

    `name` is the SDK's (livekit protocol: DisconnectReason) or one of ours, `text` is for people. WAIT takes from
    `first_s` to `most_s`, doubled each time. Many devices that see one fault find this reason up to `found_apart_s`
    apart. `culprit` is what stalled for `age_s`, where that is known.
    """

    name: str
    text: str
    response: Response = Response.RETRY
    first_s: float = 0.0
    most_s: float = 0.0
    found_apart_s: float = 0.0
    culprit: str = ""
    age_s: float = 0.0


SERVER_AWAY = Reason(name="SERVER_AWAY", text="the server went away, another one answers")
SERVER_RETURNED = Reason(name="SERVER_RETURNED", text="the server was away and is back")
SDK_RECONNECTING = Reason(name="SDK_RECONNECTING", text="the SDK did not reconnect in time")
ADDRESS_CHANGED = Reason(name="ADDRESS_CHANGED", text="this device's own address changed")
LEFT = Reason(name="CLIENT_INITIATED", text="this device left the room")
DUPLICATE_IDENTITY = Reason(
    name="DUPLICATE_IDENTITY",
    text="another participant joined under this device's identity",
    response=Response.CHECK_IDENTITY,
)
DELIVERY_STALLED = Reason(
    name="DELIVERY_STALLED",
    text="the server does not confirm what is sent",
    # Receiver reports arrive once a second, at another moment for each device.
    found_apart_s=1.0,
)

_TABLE = {
    each.name: each
    for each in (
        SERVER_AWAY,
        SERVER_RETURNED,
        SDK_RECONNECTING,
        ADDRESS_CHANGED,
        LEFT,
        DUPLICATE_IDENTITY,
        DELIVERY_STALLED,
        # JOIN_FAILURE is a 401 or 403 while the SDK reconnects. Each join gets a fresh token anyway.
        Reason(name="JOIN_FAILURE", text="the server refused the token"),
        Reason(name="ROOM_DELETED", text="the room was deleted", response=Response.WAIT, first_s=60, most_s=60),
        Reason(name="ROOM_CLOSED", text="the room was closed", response=Response.WAIT, first_s=60, most_s=60),
        Reason(
            name="PARTICIPANT_REMOVED",
            text="this device was removed from the room",
            response=Response.WAIT,
            first_s=300,
            most_s=1800,
        ),
    )
}


_OTHER: Final = "other"
JOIN_FAILED: Final = "join_failed"
"""The label of a session that ended before anything was published."""
LABELS: Final = (*(name.lower() for name in _TABLE), JOIN_FAILED, _OTHER)


def label_of(reason: Reason) -> str:
    """Return a reason's name for metrics, one of `LABELS`."""
    return reason.name.lower() if reason.name in _TABLE else _OTHER


def delivery_stalled(*, culprit: str, age_s: float) -> Reason:
    """Return the reason for a session whose `culprit` (the transport, or a stream) has stood still for `age_s`."""
    return replace(DELIVERY_STALLED, culprit=culprit, age_s=age_s)


def reason_named(name: str) -> Reason:
    """Return the reason with a name of the SDK or of ours; for an unknown name, one that joins again."""
    return _TABLE.get(name) or Reason(name=name, text=f"the connection ended ({name})")
