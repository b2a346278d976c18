"""Plays the H.264 of a file without decoding it: in a loop, in real time, in sync with the sound of the same file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
from av.bitstream import BitStreamFilterContext

from device.clock import monotonic_us
from device.errors import SourceError
from device.media.picture import AccessUnit
from device.sources.filtering import decoded_of
from device.sources.loop import Loop
from device.sources.pacing import sleep_until_us
from device.sources.parameter_sets import ParameterSets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_US = 1_000_000
_FORMATS = ("yuv420p", "yuvj420p")
# Late units are still sent, because later ones reference them: the daemon spaces them out. This limit is about what the
# daemon queues at 60 frames a second. Above it, only a key frame helps.
_MAX_LATE_US = 400_000
_MAX_UNIT_BYTES = 4 << 20  # the maximum size of one message to the daemon
_STILL_US, _STILL_MAX_US = 1_000_000, 3_000_000
_HINT = 'use encoder = "auto" to have it encoded again'


class EncodedClip:
    """The access units of a file. Size, frame rate and bitrate are those of the file and cannot be changed."""

    name = "file"

    def __init__(self, *, path: str, epoch_us: int, on_damage: Callable[[str], None] = lambda _path: None) -> None:
        self._loop = Loop(path, "video", epoch_us, on_damage=on_damage, decoding=False)
        context = self._loop.stream.codec_context
        if context.name != "h264":
            raise self._refused(f"is {context.name}; allowed: h264")
        if context.pix_fmt not in _FORMATS:
            raise self._refused(f"has pictures in {context.pix_fmt}; allowed: 8 bits a sample, 4:2:0 (yuv420p)")
        if context.has_b_frames:
            raise self._reordered()
        decoded = decoded_of(self._loop.first_picture(), self._loop.stream)
        if decoded.obstacles:
            raise self._refused(" and it ".join(decoded.obstacles))
        self.width, self.height = decoded.width, decoded.height
        self.fps = max(1, round(self._loop.survey.burst.fps or float(self._loop.stream.average_rate or 1)))
        # MP4 and Matroska store the parameter sets separately; the filter puts them before each IDR. Other formats may
        # have none before later IDRs.
        self._parameter_sets = ParameterSets(bytes(context.extradata or b""))

    def units(self) -> Iterator[AccessUnit]:
        """Yield access units without end, each when it is due.

        After a start in the middle of the file, the previous key frame takes the place of every unit until the next key
        frame is due: viewers see a still picture instead of decoding errors. If no key frame is due within 3 s, the
        file plays from the previous one, with a delay, until the end of this loop.

        Raises SourceError for a file that cannot be passed through.
        """
        number, decodable, shown_at_us = 0, False, 0
        key: tuple[bytes, int] | None = None
        for start_us in self._loop.starts():
            shift_us, still_since_us = 0, 0
            file = self._loop.remaining_or_all(self._remaining_units, empty=self._refused("has no picture"))
            while (stored := next(file, None)) is not None:
                payload, is_key, offset_us = stored
                number += 1
                if not payload:
                    decodable = False
                    continue
                now_us, due_us = monotonic_us(), start_us + offset_us + shift_us
                if shift_us and due_us >= start_us + self._loop.duration_us:
                    break
                overdue = due_us < now_us - _MAX_LATE_US
                key = (payload, offset_us) if is_key else key
                decodable = not overdue and (is_key or decodable)
                if decodable:
                    sleep_until_us(due_us)
                    yield self._unit(payload, key=is_key, number=number, due_us=due_us)
                    shown_at_us, still_since_us = due_us, 0
                    continue
                shown_us = max(due_us, now_us) if overdue else due_us
                if key is None or shown_us - shown_at_us < (_STILL_US if overdue else 1):
                    continue
                still_since_us = still_since_us or shown_us
                if not overdue and shown_us - still_since_us >= _STILL_MAX_US:
                    sleep_until_us(due_us)
                    shift_us, still_since_us = monotonic_us() - start_us - key[1], 0
                    self._loop.rewind(key[1])
                    file = self._loop.remaining_or_all(self._remaining_units, empty=self._refused("has no picture"))
                    continue
                shown_at_us = shown_us
                sleep_until_us(shown_us)
                yield self._unit(key[0], key=True, number=number, due_us=shown_us)
            # The sound is longer, or the file is truncated: repeat the picture, or the source would count as stalled.
            if key is None:
                continue
            end_us = start_us + self._loop.duration_us
            for at_us in range(shown_at_us + _STILL_US, end_us, _STILL_US):
                number, decodable = number + 1, False
                sleep_until_us(at_us)
                yield self._unit(key[0], key=True, number=number, due_us=at_us)

    def _remaining_units(self) -> Iterator[tuple[bytes, bool, int]]:
        """Yield the remaining units of the file: Annex B, whether it is an IDR, and its time in microseconds.

        A damaged unit is yielded as an empty one.
        """
        annexb = BitStreamFilterContext("h264_mp4toannexb", self._loop.stream)
        before_us = -1
        for packet, offset_us in self._loop.packets():
            if offset_us <= before_us or (None not in (packet.pts, packet.dts) and packet.dts != packet.pts):
                raise self._reordered()
            if before_us >= 0 and offset_us - before_us > _US:
                raise self._refused(f"has no picture for {(offset_us - before_us) / _US:.1f} s; allowed: 1 s at most")
            before_us = offset_us
            try:
                payload = b"".join(bytes(each) for each in annexb.filter(packet))
            except av.error.InvalidDataError:
                self._loop.report_damage()
                yield b"", False, offset_us
                continue
            yield *self._complete(payload), offset_us

    def _complete(self, payload: bytes) -> tuple[bytes, bool]:
        """Return the unit, with parameter sets before an IDR, and whether it is an IDR. Raises SourceError."""
        completed = self._parameter_sets.completed(payload)
        if completed is None:
            raise self._refused("has key frames without parameter sets (SPS and PPS)")
        if len(completed[0]) > _MAX_UNIT_BYTES:
            raise self._refused(f"has a picture of {len(completed[0])} bytes; allowed: {_MAX_UNIT_BYTES} at most")
        return completed

    def _unit(self, payload: bytes, *, key: bool, number: int, due_us: int) -> AccessUnit:
        return AccessUnit(
            payload=payload, key=key, width=self.width, height=self.height, number=number, captured_at_us=due_us
        )

    def _reordered(self) -> SourceError:
        return self._refused("has B-frames; allowed: H.264 without")

    def _refused(self, why: str) -> SourceError:
        return SourceError(
            f"{self._loop.path}: cannot be passed through: it {why}; {_HINT}",
            for_viewers="the file cannot be passed through",
        )
