"""FFmpeg's reader for V4L2: opened in a mode, its errors in our words, its times on the monotonic clock."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from device.clock import monotonic_us
from device.errors import SourceAbsentError, SourceError, system_text
from device.sources.v4l2.holder import holder
from device.sources.v4l2.modes import FORMATS, H264

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.packet import Packet

    from device.sources.v4l2.modes import Mode
    from device.sources.v4l2.nodes import Node

# A driver may stamp frames with another clock. One of the monotonic clock is not in the future, and not much older than
# the driver's queue.
_OLDEST_US, _NEWEST_US = 5_000_000, 20_000
_FAILURES = (av.error.FFmpegError, OSError, ValueError)
_GONE = (errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ESHUTDOWN)
# How a read ends in an unplugged camera if its driver has removed the node first and then stopped the stream.
_MAYBE_GONE = (errno.EINVAL, errno.EIO)


def opened(node: Node, mode: Mode) -> InputContainer:
    """Open a camera. It streams from now on. Raises SourceError."""
    options = {
        "input_format": "h264" if mode.fourcc == H264 else FORMATS[mode.fourcc],
        "video_size": f"{mode.width}x{mode.height}",
        "timestamps": "default",  # those of the driver
        # What comes is known, and each buffer is one picture: a parser would wait for the next one.
        "analyzeduration": "0",
        "probesize": "32",
        "fflags": "nofillin+noparse",
    }
    if mode.rate:
        options["framerate"] = str(mode.rate)
    try:
        return av.open(node.path, format="v4l2", options=options)
    except _FAILURES as error:
        raise failure(error, node, f"{mode.fourcc} {mode.width}x{mode.height}") from error


def packets(container: InputContainer, node: Node) -> Iterator[tuple[Packet[Any], int]]:
    """Yield each packet and its capture time in microseconds. Raises SourceError when the camera fails or is gone."""
    stream = container.streams.video[0]
    before_us = 0
    try:
        for packet in container.demux(stream):
            if packet.size:  # a damaged one is empty
                before_us = max(before_us + 1, captured_at_us(packet.pts, monotonic_us()))
                yield packet, before_us
    except _FAILURES as error:
        raise failure(error, node, "") from error
    raise SourceError(f"{node.card} ({node.path}) has ended", for_viewers="the camera delivers no picture")


def captured_at_us(stamp_us: int | None, now_us: int) -> int:
    """Return the driver's time if it is of the monotonic clock, else the time of arrival. Pure."""
    if stamp_us is not None and now_us - _OLDEST_US <= stamp_us <= now_us + _NEWEST_US:
        return stamp_us
    return now_us


def failure(error: BaseException, node: Node, wanted: str) -> SourceError:
    """Return the error for what the system says about a camera."""
    number = getattr(error, "errno", None)
    name = f"{node.card} ({node.path})"
    if number in _GONE or (number in _MAYBE_GONE and not Path(node.path).exists()):
        return SourceAbsentError(f"{name} is no longer connected", for_viewers="the camera is not connected")
    if number == errno.EBUSY:
        by = holder(node.path)
        return SourceError(
            f"{name} is busy: {by or 'another program'} uses it; end that program, or look at `fuser -v {node.path}`",
            for_viewers="the camera is in use by another program",
        )
    if number in (errno.EACCES, errno.EPERM):
        return SourceError(
            f"{name} cannot be opened: {system_text(error)}; add the user to the group `video`",
            for_viewers="the camera cannot be opened",
        )
    if number in (errno.ENOSPC, errno.ENOMEM):
        return SourceError(
            f"{name} cannot start: {system_text(error)}; its USB bus has no bandwidth left for {wanted}, or the board "
            "no memory: use a smaller size, a lower rate, or another port",
            for_viewers="the camera cannot be started",
        )
    return SourceError(
        f"{name} fails{f' with {wanted}' if wanted else ''}: {system_text(error)}; look at `dmesg`",
        for_viewers="the camera fails",
    )
