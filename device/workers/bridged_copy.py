"""Passes H.264 through, and answers requests for key frames although nobody can ask the source for one.

A key frame cannot be put between the source's units: the units after it reference pictures that it replaces. So from a
request until the source's next key frame the pictures are decoded and encoded again; then the units are passed through
again. Every viewer gets one valid stream, and the processor works for one group of pictures only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from device.clock import monotonic_us
from device.encoders.bitrate_budget import BitrateBudget
from device.encoders.catching_up import LazyDecoder
from device.encoders.x264 import X264Encoder
from device.ipc.messages import ForceKeyFrame, SetBitrate, SetKeyFramesOnly
from device.media.picture import FramePicture
from device.sources.filtering import colour_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.video.frame import VideoFrame

    from device.ipc.messages import CameraJob
    from device.ipc.worker_link import WorkerLink
    from device.media.picture import AccessUnit, Sink

_US = 1_000_000
_FIRST_BITRATE_BPS = 500_000
# A source's own key frame that comes this soon answers a request.
_SOON_US = 300_000
# At most this much decoding is left for the moment of a request; above it, units are decoded in advance. While they are
# passed through, decoding may use this part of the time between two units.
_MAX_COST_S, _MAX_KEPT_BYTES = 0.25, 16 << 20
_SHARE = 0.6
_STEP_S = 0.1
# If decoding and encoding are slower than the source, late pictures are encoded at this interval only.
_LATE_US, _LATE_INTERVAL_US = 300_000, 200_000
_PIXEL_FORMATS = ("yuv420p", "yuvj420p")


def pass_through(link: WorkerLink, copy: BridgedCopy, units: Iterable[AccessUnit]) -> None:
    """Send units, and carry out the daemon's requests; log once what cannot be changed."""
    logged = False
    for unit in units:
        for request in link.requests():
            why = copy.carry_out(request.message)
            if why and not logged:
                logged = True
                link.log("info", "camera.requests_ignored", why=why)
            link.reply(request)
        copy.take(unit)


class BridgedCopy:
    """Takes the source's units and gives units to `sink`. At its start only key frames are sent, as by an encoder."""

    def __init__(self, job: CameraJob, *, fps: int, sink: Sink) -> None:
        self._job, self._fps, self._sink = job, fps, sink
        self._decoder = LazyDecoder()
        self._encoder: X264Encoder | None = None
        self._size = (0, 0)
        self._keys_only, self._next_key, self._wanted_at_us = True, True, 0
        self._bitrate_bps = min(_FIRST_BITRATE_BPS, job.bitrate_max_bps)
        self._budget = BitrateBudget()
        self._keyed_at_us = self._interval_us = 0
        self._encoded_at_us = 0
        self._bridging = True
        self._number = 0

    def carry_out(self, request: object) -> str:
        """Carry out one request; return what is wrong with it, or an empty text."""
        match request:
            case ForceKeyFrame():
                self._next_key = True
                self._wanted_at_us = self._wanted_at_us or monotonic_us()
            case SetKeyFramesOnly(enabled=enabled):
                self._keys_only = enabled
                self._bridging = self._bridging or enabled
            case SetBitrate(bitrate_bps=bitrate_bps) if bitrate_bps > 0:
                self._bitrate_bps = bitrate_bps
                if self._encoder is not None:
                    self._encoder.set_bitrate(bitrate_bps)
            case _:
                return "a stream that is passed through cannot be changed"
        return ""

    def take(self, unit: AccessUnit) -> None:
        """Take the next unit of the source; the first one is a key frame."""
        self._decoder.add(unit.payload, key=unit.key)
        if unit.key:
            self._interval_us = unit.captured_at_us - self._keyed_at_us if self._keyed_at_us else 0
            self._keyed_at_us = unit.captured_at_us
            if not self._keys_only:
                self._bridging, self._next_key, self._wanted_at_us = False, False, 0
                self._encoder = None
        if self._bridging:
            self._encode(unit)
            return
        self._send(unit)
        wanted = self._next_key and not self._is_key_due_soon(unit.captured_at_us)
        if wanted or self._decoder.cost_s > _MAX_COST_S or self._decoder.kept_bytes > _MAX_KEPT_BYTES:
            self._decoder.decode(within_s=_SHARE / self._fps)
            self._bridging = wanted and not self._decoder.kept_bytes

    def _encode(self, unit: AccessUnit) -> None:
        """Encode the picture of a unit; with many units to decode first, the newest picture so far."""
        frame = self._decoder.decode(within_s=_STEP_S)
        if frame is None:
            return
        key = self._keys_only or self._next_key
        late = monotonic_us() - unit.captured_at_us > _LATE_US
        if not key and (
            (late and monotonic_us() - self._encoded_at_us < _LATE_INTERVAL_US)
            or not self._budget.allows(unit.captured_at_us)
        ):
            return
        self._next_key, self._wanted_at_us, self._encoded_at_us = False, 0, monotonic_us()
        picture = FramePicture(frame=_supported(frame), number=unit.number, captured_at_us=unit.captured_at_us)
        self._encoder_for(picture.frame).encode(picture, key=key)

    def _encoder_for(self, frame: VideoFrame) -> X264Encoder:
        if self._encoder is None or (frame.width, frame.height) != self._size:
            self._size = (frame.width, frame.height)
            self._encoder = X264Encoder(
                width=frame.width,
                height=frame.height,
                pixel_format=frame.format.name,
                fps=self._fps,
                bitrate_bps=self._bitrate_bps,
                bitrate_max_bps=self._job.bitrate_max_bps,
                keyframe_interval_s=self._job.keyframe_interval_s,
                colour=colour_of(self._decoder.context, frame.height),
                sink=self._encoded,
            )
        return self._encoder

    def _encoded(self, unit: AccessUnit) -> None:
        self._budget.add(len(unit.payload), bitrate_bps=self._bitrate_bps)
        self._send(unit)

    def _send(self, unit: AccessUnit) -> None:
        self._number += 1
        self._sink(replace(unit, number=self._number))

    def _is_key_due_soon(self, now_us: int) -> bool:
        """Return whether the source's next key frame, by its interval so far, is worth waiting for."""
        if not self._interval_us or not self._wanted_at_us or monotonic_us() - self._wanted_at_us > _SOON_US:
            return False
        return self._keyed_at_us + self._interval_us - now_us < _SOON_US


def _supported(frame: VideoFrame) -> VideoFrame:
    return frame if frame.format.name in _PIXEL_FORMATS else frame.reformat(format=_PIXEL_FORMATS[0])
