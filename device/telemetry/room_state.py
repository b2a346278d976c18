"""Where the device is on its way into the room."""

from __future__ import annotations

import enum


class RoomState(enum.Enum):
    """The values are what viewers and operators read."""

    CONNECTING = "connecting"
    LIVE = "live"
    FORBIDDEN = "forbidden"  # in the room, but the right to publish was taken away
    WAITING = "waiting"


class PublishState(enum.Enum):
    """How one track is in the room; the values are what viewers and operators read."""

    STARTING = "starting"
    PUBLISHED = "published"
    MUTED = "muted by the room"
    FORBIDDEN = "forbidden"
    FAILED = "not published"
