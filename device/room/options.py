"""The options of a join."""

from __future__ import annotations

from livekit import rtc

# The SDK collects what participants send, by default up to 5 GB each, also calls of operations that do not exist.
_MAX_STREAM_BYTES = 64 << 10


def room_options(*, relay_only: bool, for_viewers_only: bool = False) -> rtc.RoomOptions:
    """Return options of a join. `relay_only`: media passes only the TURN servers that the server names.

    `for_viewers_only`: a video that nobody watches is not sent, and statistics say so.
    """
    relay = rtc.RtcConfiguration(ice_transport_type=rtc.IceTransportType.TRANSPORT_RELAY) if relay_only else None
    return rtc.RoomOptions(
        auto_subscribe=False,
        dynacast=for_viewers_only,
        rtc_config=relay,
        data_stream=rtc.room.DataStreamOptions(max_payload_byte_length=_MAX_STREAM_BYTES),
    )
