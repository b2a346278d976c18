"""The H.264 that a V4L2 camera encodes itself, without decoding it; its encoder follows the camera's controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.errors import SourceError
from device.media.picture import AccessUnit
from device.sources.annexb import is_annexb
from device.sources.parameter_sets import ParameterSets
from device.sources.v4l2 import controls, demuxer, ioctls, modes, nodes
from device.sources.v4l2.copying import NOT_COPYABLE, NotCopyableError, copied_mode, encoder_controls
from device.sources.v4l2.offered import ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from device.ipc.messages import CameraJob
    from device.sources.v4l2.controls import Control

_KEY_WITHIN_US = 3_000_000
_ANY_KEY_WITHIN_US = 15_000_000  # for "copy": a camera may have a key frame each 10 s
_PERIOD, _GOP_SIZE, _REPEAT_HEADERS = 0x0099_0A66, 0x0099_09CB, 0x0099_09E2  # V4L2_CID_MPEG_VIDEO_...
_MAX_UNIT_BYTES = 4 << 20  # the maximum size of one message to the daemon


class V4l2Units:
    """Access units of one camera, from the first key frame on. Raises NotCopyableError if that cannot be."""

    name = "v4l2"

    def __init__(self, job: CameraJob) -> None:
        self.node = nodes.find(job.device)
        self._automatic = job.encoder == "auto"
        try:
            with ioctls.opened(self.node.path) as descriptor:
                offered = controls.listed(descriptor)
                self.mode = copied_mode(modes.listed(descriptor), offered, job)
                self._encoder = encoder_controls(offered)
                self._controls, self.offered = controls.AppliedControls(offered), ranges(offered)
                self._controls.set(descriptor, job.controls)
                _prepare(descriptor, offered, job)
                if any(controls.apply_flips(descriptor, offered, hflip=job.hflip, vflip=job.vflip)):
                    raise NotCopyableError("the camera cannot flip its pictures", for_viewers=NOT_COPYABLE)
        except OSError as error:
            raise demuxer.failure(error, self.node, "") from error
        self._container = demuxer.opened(self.node, self.mode)
        context = self._container.streams.video[0].codec_context
        self.width, self.height = int(context.width), int(context.height)
        self.fps = max(1, round(self.mode.rate or job.fps))
        self._parameter_sets = ParameterSets(bytes(context.extradata or b""))

    def units(self) -> Iterator[AccessUnit]:
        """Yield units without end. Raises NotCopyableError before the first one, later SourceError."""
        number, began_us = 0, 0
        within_us = _KEY_WITHIN_US if self._automatic else _ANY_KEY_WITHIN_US
        for packet, captured_at_us in demuxer.packets(self._container, self.node):
            began_us = began_us or captured_at_us
            payload = bytes(packet)
            completed = self._parameter_sets.completed(payload) if number or is_annexb(payload) else None
            if completed is None or not (number or completed[1]):  # a viewer cannot start to decode with it
                if captured_at_us - began_us > within_us:
                    raise NotCopyableError(
                        f"{self.node.card} ({self.node.path}): its H.264 has no key frame with parameter sets within "
                        f"{within_us // 1_000_000} s",
                        for_viewers=NOT_COPYABLE,
                    )
                continue
            payload, key = completed
            if len(payload) > _MAX_UNIT_BYTES:
                raise SourceError(f"the camera sends a picture of {len(payload)} bytes", for_viewers=NOT_COPYABLE)
            number += 1
            yield AccessUnit(
                payload=payload,
                key=key,
                width=self.width,
                height=self.height,
                number=number,
                captured_at_us=captured_at_us,
            )

    def force_key_frame(self) -> bool:
        """Request a key frame; return False if the camera cannot."""
        return self._set(self._encoder.key_frame, 1)

    def set_bitrate(self, bitrate_bps: int) -> bool:
        """Set the bitrate, within the camera's bounds; return False if the camera cannot."""
        control = self._encoder.bitrate
        if control is None:
            return False
        stepped = control.least + (bitrate_bps - control.least) // max(1, control.step) * max(1, control.step)
        return self._set(control, max(control.least, min(stepped, control.most)))

    def set_controls(self, wanted: Mapping[str, Any]) -> None:
        """Set the controls while capturing. Raises SourceError."""
        try:
            with ioctls.opened(self.node.path) as descriptor:
                self._controls.set(descriptor, wanted)
        except OSError as error:
            raise demuxer.failure(error, self.node, "") from error

    def close(self) -> None:
        """Stop the stream, so that another format can be opened."""
        self._container.close()

    def _set(self, control: Control | None, value: int) -> bool:
        if control is None:
            return False
        try:
            with ioctls.opened(self.node.path) as descriptor:
                controls.apply(descriptor, [(control, value)])
        except OSError as error:
            raise demuxer.failure(error, self.node, "") from error
        return True


def _prepare(descriptor: int, offered: Sequence[Control], job: CameraJob) -> None:
    """Set the interval of key frames and the repetition of parameter sets, where the camera has them."""
    if (repeat := controls.with_id(offered, _REPEAT_HEADERS)) is not None:
        controls.apply(descriptor, [(repeat, 1)])
    for number in (_PERIOD, _GOP_SIZE):
        if (period := controls.with_id(offered, number)) is not None:
            frames = max(period.least, min(job.keyframe_interval_s * job.fps, period.most))
            controls.apply(descriptor, [(period, frames)])
            return
