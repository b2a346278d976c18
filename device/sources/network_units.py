"""The H.264 of a network stream without decoding it, for `encoder = "copy"`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
from av.bitstream import BitStreamFilterContext

from device.errors import SourceError
from device.media.picture import AccessUnit
from device.sources.annexb import is_annexb
from device.sources.pacing import sleep_until_us
from device.sources.parameter_sets import ParameterSets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.sources.network_input import NetworkInput

_FORMATS = (None, "yuv420p", "yuvj420p")
_MAX_UNIT_BYTES = 4 << 20  # the maximum size of one message to the daemon
# A stream without an IDR in this time refreshes its picture in another way, from which no viewer can start.
_KEY_WITHIN_US = 15_000_000


class NotCopyableError(SourceError):
    """The stream can be decoded and encoded, but not passed through."""


def why_not_copied(source: NetworkInput) -> str:
    """Return why a stream cannot be passed through; empty if it can, as far as its headers show."""
    context = source.stream.codec_context
    if context.name != "h264":
        return f"it is {context.name}"
    if context.pix_fmt not in _FORMATS:
        return f"its pictures are in {context.pix_fmt}"
    if context.has_b_frames:
        return "it has B-frames"
    return ""


class NetworkUnits:
    """Access units as they arrive, from the first key frame on."""

    def __init__(self, source: NetworkInput) -> None:
        self._source = source
        context = source.stream.codec_context
        self.width, self.height = int(context.width), int(context.height)
        stored = bytes(context.extradata or b"")
        self._sets = ParameterSets(stored)
        # FLV and MP4 store lengths before each NAL unit.
        self._filter = BitStreamFilterContext("h264_mp4toannexb", source.stream) if stored[:1] == b"\1" else None

    def units(self) -> Iterator[AccessUnit]:
        """Yield units without end. Raises NotCopyableError for a stream that has to be encoded, else SourceError."""
        number, before_us, first_us, keyed = 0, -1, -1, False
        for packet, captured_at_us in self._source.packets():
            if packet.pts is not None and packet.dts is not None and packet.pts != packet.dts:
                raise self._not_copyable("it has B-frames")
            first_us = captured_at_us if first_us < 0 else first_us
            for payload in self._annexb(packet):
                completed = self._sets.completed(payload)
                if completed is None:
                    raise self._not_copyable("its key frames have no parameter sets (SPS and PPS)")
                payload, key = completed  # noqa: PLW2901
                keyed = keyed or key
                if not keyed:
                    if captured_at_us - first_us > _KEY_WITHIN_US:
                        raise self._not_copyable(f"it has no key frame in {_KEY_WITHIN_US // 1_000_000} s")
                    continue
                if len(payload) > _MAX_UNIT_BYTES:
                    raise self._not_copyable(f"it has a picture of {len(payload)} bytes")
                number += 1
                before_us = max(before_us + 1, captured_at_us)
                if self._source.paced:
                    sleep_until_us(before_us)
                yield AccessUnit(
                    payload=payload,
                    key=key,
                    width=self.width,
                    height=self.height,
                    number=number,
                    captured_at_us=before_us,
                )

    def _annexb(self, packet: av.Packet[av.VideoStream]) -> Iterator[bytes]:
        if self._filter is None:
            if is_annexb(payload := bytes(packet)):
                yield payload
            return
        try:
            yield from (bytes(each) for each in self._filter.filter(packet))
        except av.error.InvalidDataError:
            return

    def _not_copyable(self, why: str) -> NotCopyableError:
        return NotCopyableError(f"{self._source.origin}: cannot be passed through: {why}", for_viewers=_REFUSED)


_REFUSED = "the stream cannot be passed through"
