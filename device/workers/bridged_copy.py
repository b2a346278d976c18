"""Passes H.264 through, and answers requests for key frames although the source may not carry them out.

A key frame cannot be put between the source's units: the units after it reference pictures that it replaces. So from a
request until the source's next key frame the pictures are decoded and encoded again; then the units are passed through
again. Every viewer gets one valid stream, and the processor works for one group of pictures only. A key frame of the
source that is due soon is awaited instead: a source with frequent key frames never needs the decoder or the encoder.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from device.clock import monotonic_us
from device.encoders.bitrate_budget import BitrateBudget
from device.encoders.catching_up import LazyDecoder
from device.ipc.messages import ForceKeyFrame, SetBitrate, SetKeyFramesOnly, SetPaused
from device.media.picture import FramePicture
from device.sources.filtering import colour_of
from device.workers.key_frames import LATE_VIEWER_US, KeyFrames

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.video.frame import VideoFrame

    from device.encoders.x264 import X264Encoder
    from device.ipc.framing import Received
    from device.ipc.messages import CameraJob
    from device.ipc.worker_link import WorkerLink
    from device.media.picture import AccessUnit, Sink
    from device.workers.snapshot import Snapshots

_US = 1_000_000
_FIRST_BITRATE_BPS = 500_000
# While units may get lost, the source's last key frame takes the place of every unit. So it does in the first second
# after that, when the SDK probes the link with the units that it has to send. Measured: with smaller units at that time
# viewers get all later pictures 20 ms later; with pauses of 45 ms the SDK estimates a third of the link's capacity.
_PROBED_US = 1_000_000
_STILL_US = 1_000_000
# At most this much decoding is left for the moment of a request; above it, units are decoded in advance. While they are
# passed through, decoding may use this part of the time between two units.
_MAX_COST_S, _MAX_KEPT_BYTES = 0.25, 16 << 20
_SHARE = 0.6
_STEP_S = 0.1
# If decoding and encoding are slower than the source, late pictures are encoded at this interval only.
_LATE_US, _LATE_INTERVAL_US = 300_000, 200_000
_PIXEL_FORMATS = ("yuv420p", "yuvj420p")


class BridgedCopy:
    """Takes the source's units and gives units to `sink`. At its start only key frames are sent, as by an encoder.

    A source may repeat its last key frame, as the same object, while it has no other unit that can be decoded. That is
    sent once a second, or in answer to a request. `ask_key` asks the source for a key frame and `set_bitrate` sets its
    bitrate; both return False if it cannot.
    """

    def __init__(
        self,
        job: CameraJob,
        *,
        fps: int,
        sink: Sink,
        ask_key: Callable[[], bool] = lambda: False,
        set_bitrate: Callable[[int], bool] = lambda _bps: False,
    ) -> None:
        self._job, self._fps, self._sink, self._set_source_bitrate = job, fps, sink, set_bitrate
        self._keys = KeyFrames(ask=ask_key)
        self._decoder = LazyDecoder()
        self._encoder: X264Encoder | None = None
        self._size = (0, 0)
        self._bitrate_bps = min(_FIRST_BITRATE_BPS, job.bitrate_max_bps)
        self._budget = BitrateBudget()
        self._keys_only, self._next_key, self._hold_until_us = True, False, 0
        self._snapshots: Snapshots | None = None
        self._awaiting: list[Callable[[VideoFrame, int], None]] = []  # the newest picture
        self._key: AccessUnit | None = None  # the source's last key frame
        # Whether viewers can decode the source's next unit; if not, whether they get encoded units instead.
        self._passing = self._bridging = False
        self._number = self._sent_at_us = self._encoded_at_us = 0

    def carry_out(self, request: object) -> str:
        """Carry out one request; return what is wrong with it, or an empty text."""
        match request:
            case ForceKeyFrame():
                self._next_key = True
            case SetKeyFramesOnly(enabled=enabled):
                self._keys_only = enabled
            case SetPaused(paused=paused):
                self._next_key = not paused
            case SetBitrate(bitrate_bps=bitrate_bps) if bitrate_bps > 0:
                self._bitrate_bps = bitrate_bps
                self._set_source_bitrate(bitrate_bps)
                if self._encoder is not None:
                    self._encoder.set_bitrate(bitrate_bps)
            case _:
                return "a stream that is passed through cannot be changed"
        return ""

    def take_snapshot(self, request: Received, link: WorkerLink) -> None:
        """Answer with the newest picture, as soon as all units since the last key frame are decoded."""
        from device.workers.snapshot import Snapshots

        snapshots = self._snapshots = self._snapshots or Snapshots(link)

        def answer(frame: VideoFrame, captured_at_us: int) -> None:
            colour = colour_of(self._decoder.context, frame.height)
            snapshots.of_frame(request, frame, colour, captured_at_us=captured_at_us)

        self._awaiting.append(answer)

    def take(self, unit: AccessUnit) -> None:
        """Take the next unit of the source; the first one is a key frame."""
        now_us = unit.captured_at_us
        repeated = self._keep(unit)
        if self._keys_only:
            self._hold_until_us = now_us + _PROBED_US
        if now_us < self._hold_until_us:
            self._hold(unit)
        elif unit.key:
            self._passing, self._bridging, self._encoder = True, False, None
            if not repeated or self._next_key or now_us - self._sent_at_us >= _STILL_US:
                self._next_key = False
                self._send(unit)
        elif self._bridging:
            self._encode(unit)
        elif self._passing:
            self._pass(unit)
        else:
            self._wait(unit)
        if self._awaiting:
            self._answer(now_us)

    def skip(self, unit: AccessUnit) -> None:
        """Take the next unit without sending it: a picture can still be made of it, for a snapshot or a viewer."""
        self._keep(unit)
        self._passing, self._bridging, self._encoder = False, False, None
        if self._awaiting:
            self._answer(unit.captured_at_us)
        elif self._decoder.kept_bytes > _MAX_KEPT_BYTES:
            self._decoder.decode(within_s=_SHARE / self._fps)

    def _keep(self, unit: AccessUnit) -> bool:
        """Keep what is needed to decode this unit; return whether it is the last key frame again."""
        repeated = self._key is not None and unit.payload is self._key.payload
        self._decoder.add(unit.payload, key=unit.key)
        if unit.key and not repeated:
            self._key, self._bridging, self._encoder = unit, False, None
            self._keys.came(unit.captured_at_us)
        return repeated

    def _answer(self, captured_at_us: int) -> None:
        self._decoder.decode(within_s=_SHARE / self._fps)
        if self._decoder.newest is not None and not self._decoder.kept_bytes:
            for answer in self._awaiting:
                answer(self._decoder.newest, captured_at_us)
            self._awaiting.clear()

    def _hold(self, unit: AccessUnit) -> None:
        """Send the last key frame, if it is not old, in place of a unit that may get lost."""
        self._passing = False
        if self._key is None or self._bridging or not self._keys.fresh(unit.captured_at_us):
            self._bridging = True
            self._encode(unit)
            return
        self._next_key = False
        self._send(replace(self._key, captured_at_us=unit.captured_at_us))

    def _wait(self, unit: AccessUnit) -> None:
        """Wait for a key frame, because no viewer can decode this unit; or encode its picture, if that takes long."""
        if not self._keys.worth_awaiting(unit.captured_at_us):
            self._bridging = True
            self._encode(unit)
        elif self._key is not None and (self._next_key or unit.captured_at_us - self._sent_at_us >= _STILL_US):
            self._next_key = False
            self._send(replace(self._key, captured_at_us=unit.captured_at_us))

    def _pass(self, unit: AccessUnit) -> None:
        self._send(unit)
        wanted = self._next_key and not self._keys.worth_awaiting(unit.captured_at_us, within_us=LATE_VIEWER_US)
        costly = self._decoder.cost_s > _MAX_COST_S or self._decoder.kept_bytes > _MAX_KEPT_BYTES
        if wanted or (costly and not self._keys.due_soon(unit.captured_at_us)):
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
        self._next_key, self._encoded_at_us = False, monotonic_us()
        picture = FramePicture(frame=_supported(frame), number=unit.number, captured_at_us=unit.captured_at_us)
        self._encoder_for(picture.frame).encode(picture, key=key)

    def _encoder_for(self, frame: VideoFrame) -> X264Encoder:
        if self._encoder is None or (frame.width, frame.height) != self._size:
            from device.encoders.x264 import X264Encoder

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
        self._sent_at_us = unit.captured_at_us
        self._sink(replace(unit, number=self._number))


def _supported(frame: VideoFrame) -> VideoFrame:
    return frame if frame.format.name in _PIXEL_FORMATS else frame.reformat(format=_PIXEL_FORMATS[0])
