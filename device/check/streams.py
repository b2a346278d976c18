"""What `check` reports about a network stream: its codec, B-frames and key frames, and what follows for viewers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from device.errors import SourceError

if TYPE_CHECKING:
    from device.config.effective import Camera, Microphone
    from device.sources.network_input import NetworkInput

# Longer than most cameras' interval of key frames.
_WATCH_S = 12.0
_US = 1_000_000


def of_camera(table: Camera) -> str:
    """Open a camera's stream and watch it until its second key frame; return what it is. Raises SourceError."""
    from device.sources.network_units import why_not_copied

    source = _opened(table, "video")
    try:
        context = source.stream.codec_context
        interval_s, reordered = _watched(source)
        why = why_not_copied(source) or ("it has B-frames" if reordered else "")
        if why and table.encoder == "copy":
            raise SourceError(f'{source.origin}: {why}; use encoder = "auto"')
        parts = [
            f"{source.origin}: {context.name} {context.width}x{context.height}",
            f"{source.rate:.0f} frames/s" if source.rate else "unknown rate",
            "B-frames" if context.has_b_frames or reordered else "no B-frames",
            f"a key frame each {interval_s:.1f} s" if interval_s else f"no second key frame in {_WATCH_S:.0f} s",
            f"is encoded by x264, because {why}" if why else _copied(table),
        ]
        return ", ".join(parts)
    finally:
        source.close()


def of_microphone(table: Microphone) -> str:
    """Open the sound of a stream; return what it is. Raises SourceError."""
    source = _opened(table, "audio")
    try:
        next(iter(source.packets()))
        context = source.stream.codec_context
        return f"{source.origin}: {context.name}, {context.sample_rate} Hz, {context.layout.name}"
    finally:
        source.close()


def _copied(table: Camera) -> str:
    if table.encoder == "x264":
        return "is encoded by x264"
    return "is passed through; a viewer who joins between key frames has a picture within a second"


def _opened(table: Camera | Microphone, kind: str) -> NetworkInput:
    from device.sources.network_input import NetworkInput

    return NetworkInput(
        url=table.url.get_secret_value(),
        url_file=table.url_file,
        kind="audio" if kind == "audio" else "video",
        transport=table.rtsp_transport,
    )


def _watched(source: NetworkInput) -> tuple[float, bool]:
    """Return the seconds between two key frames, 0 if there were not two, and whether pictures are out of order."""
    give_up_at, keyed_at_us, reordered = time.monotonic() + _WATCH_S, -1, False
    for packet, captured_at_us in source.packets():
        reordered = reordered or (None not in (packet.pts, packet.dts) and packet.pts != packet.dts)
        if packet.is_keyframe:
            if keyed_at_us >= 0:
                return (captured_at_us - keyed_at_us) / _US, reordered
            keyed_at_us = captured_at_us
        if time.monotonic() > give_up_at:
            break
    return 0.0, reordered
