"""The states of the connection to the room, and of each publication."""

from __future__ import annotations

import enum


class RoomState(enum.Enum):
    """The state of the connection; the values are what viewers and operators read."""

    CONNECTING = "connecting"
    LIVE = "live"
    FORBIDDEN = "forbidden"  # in the room, but the permission to publish was revoked
    WAITING = "waiting"


class PublishState(enum.Enum):
    """The state of one track in the room; the values are what viewers and operators read."""

    STARTING = "starting"
    PUBLISHED = "published"
    MUTED = "muted by the room"
    FORBIDDEN = "forbidden"
    FAILED = "not published"
