"""Opens a stream on the network with FFmpeg: what it may open, and for how long it may wait.

A URL holds passwords, so no text of this module contains more of it than scheme, host and port.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
import av.logging
from av.stream import Disposition

from device import stream_url
from device.clock import monotonic_us
from device.errors import SourceError
from device.sources.arrival_clock import ArrivalClock, Backlog, PlayoutClock
from device.sources.opening import error_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_US = 1_000_000
_OPEN_S, _READ_S = 8.0, 5.0
# How long FFmpeg looks at the stream before it reports what is in it.
_ANALYZE_US, _PROBE_BYTES = 2_000_000, 4_000_000
# FFmpeg's protocols for each scheme. A playlist or a redirect cannot make it open others, such as files.
_HTTP = "http,https,tcp,tls,httpproxy,crypto"
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,udp,tcp,tls",
    "http": _HTTP,
    "https": _HTTP,
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tcp,tls",
    "rtmpt": "rtmpt,ffrtmphttp,http,tcp",
    "rtmpts": "rtmpts,ffrtmphttp,http,https,tcp,tls",
    "srt": "srt,udp",
    "udp": "udp",
    "rtp": "rtp,udp",
    "tcp": "tcp",
}
# Demuxers that read nothing but the stream itself, and HLS. Others may open further files.
_FORMATS = ",".join(
    (
        *("rtsp", "rtp", "flv", "live_flv", "kux", "mpegts", "mpjpeg", "mjpeg", "h264", "hevc", "hls", "mov", "mp4"),
        *("matroska", "webm", "mpeg", "avi", "ogg", "wav", "mp3", "aac", "flac", "nut"),
    )
)
# These arrive in pieces of some seconds, or as fast as the network allows.
_MAX_FPS = 120
_PACED = frozenset({"hls"})
_LONGEST_PACKET_US = 200_000
# From RTP, FFmpeg's parser returns a unit of these when the next one begins to arrive: one picture late.
_RTP, _HELD = frozenset({"rtsp", "rtp", "sdp"}), frozenset({"h264", "hevc"})


class NetworkInput:
    """An open stream: the packets of its video or sound, each with its capture time on the monotonic clock.

    `url_file` is read at each start, so that it can be replaced. Raises SourceError.
    """

    def __init__(self, *, url: str, url_file: str, kind: Literal["video", "audio"], transport: str) -> None:
        av.logging.set_level(None)  # FFmpeg's own lines hold the URL
        url = url or _read(Path(url_file))
        if why := stream_url.problem(url):
            place = url_file or "the stream's URL"
            raise SourceError(f"{place}: {why}", for_viewers="the stream's URL is not valid")
        url = url.strip()
        self.origin, self._kind = stream_url.origin(url), kind
        self._container = self._opened(url, _options(url, kind, transport))
        self.stream = self._chosen()
        self.paced = self._container.format.name in _PACED or bool(self._container.duration)
        self._clock = PlayoutClock() if self.paced else ArrivalClock()
        self._held = self._container.format.name in _RTP and self.stream.codec_context.name in _HELD

    def packets(self) -> Iterator[tuple[av.Packet[Any], int]]:
        """Yield each packet with its capture time, in microseconds. Raises SourceError when the stream ends.

        Live sound begins with what arrives now: old sound in front of it would be heard late.
        """
        began_us = 0  # when this packet began to arrive
        backlog = Backlog() if self._kind == "audio" and not self.paced else None
        try:
            for packet in self._container.demux(self.stream):
                if packet.size:
                    now_us, at_us = monotonic_us(), self._own_us(packet)
                    arrived_us, began_us = began_us or now_us, now_us if self._held else 0
                    if at_us is None:
                        yield packet, now_us
                        continue
                    # Sound is sent when its last sample has been captured.
                    lasting_us = self._lasting_us(packet) if self._kind == "audio" and not self.paced else 0
                    self._clock.arrived(at_us + lasting_us, arrived_us)
                    if backlog is None or not backlog.has(at_us, now_us):
                        yield packet, self._clock.captured_at_us(at_us)
        except av.error.FFmpegError as error:
            raise self._failed(error, "delivers nothing more") from None
        raise SourceError(f"{self.origin}: the stream has ended", for_viewers="the stream has ended")

    def captured_at_us(self, frame: Any) -> int:
        """Return the capture time of a decoded frame."""
        own_us = self._own_us(frame)
        return monotonic_us() if own_us is None else self._clock.captured_at_us(own_us)

    @property
    def rate(self) -> float:
        """The stream's frame rate as far as FFmpeg knows it; else 0."""
        for rate in (self.stream.average_rate, self.stream.guessed_rate, self.stream.base_rate):
            if rate and 1 <= rate <= _MAX_FPS:
                return float(rate)
        return 0.0

    def close(self) -> None:
        self._container.close()

    def refused(self, why: str) -> SourceError:
        """Return an error about the stream's content."""
        return SourceError(f"{self.origin}: {why}", for_viewers="the stream cannot be used")

    def _own_us(self, stored: Any) -> int | None:
        """Return the stream's own time of a packet or frame; pictures of a camera's MJPEG have none."""
        at = stored.pts if stored.pts is not None else stored.dts
        return None if at is None or stored.time_base is None else int(at * stored.time_base * _US)

    def _lasting_us(self, packet: av.Packet[Any]) -> int:
        if not packet.duration or packet.time_base is None:
            return 0
        return min(int(packet.duration * packet.time_base * _US), _LONGEST_PACKET_US)

    def _opened(self, url: str, options: dict[str, str]) -> Any:
        try:
            return av.open(url, options=options, timeout=(_OPEN_S, _READ_S), metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failed(error, "cannot be opened") from None

    def _chosen(self) -> Any:
        streams: Any = getattr(self._container.streams, self._kind)
        chosen = next((each for each in streams if not each.disposition & Disposition.attached_pic), None)
        what = "picture" if self._kind == "video" else "sound"
        if chosen is None:
            raise SourceError(f"{self.origin}: has no {what}", for_viewers=f"the stream has no {what}")
        if chosen.codec_context is None:
            raise SourceError(f"{self.origin}: has {what} of an unknown codec", for_viewers="the codec is not known")
        return chosen

    def _failed(self, error: Exception, what: str) -> SourceError:
        """Return FFmpeg's error without its text, which contains the URL."""
        if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
            return SourceError(
                f"{self.origin}: the user or the password in the URL is wrong ({error_text(error)})",
                for_viewers="the stream refuses the password",
            )
        if isinstance(error, av.error.ExitError):
            return SourceError(f"{self.origin}: {what}: no answer in time", for_viewers="the stream does not answer")
        if isinstance(error, av.error.ProtocolNotFoundError):
            return self.refused("this build of FFmpeg does not have the protocol")
        return SourceError(f"{self.origin}: {what}: {error_text(error)}", for_viewers=f"the stream {what}")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(stream_url.MAX_CHARACTERS + 2)
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read: {error_text(error)}", for_viewers="the stream's URL cannot be read"
        ) from None
    return data.decode(errors="replace").removeprefix("\ufeff")


def _options(url: str, kind: str, transport: str) -> dict[str, str]:
    scheme = url.partition(":")[0]
    options = {
        "protocol_whitelist": _PROTOCOLS[scheme],
        "format_whitelist": _FORMATS,
        "analyzeduration": str(_ANALYZE_US),
        "probesize": str(_PROBE_BYTES),
    }
    wait_us = str(int(_READ_S * _US))
    if scheme in ("rtsp", "rtsps"):
        # Without the other medium: its packets would have to be read as well.
        options |= {"rtsp_transport": transport, "timeout": wait_us, "allowed_media_types": kind}
    else:
        options["rw_timeout"] = wait_us
    return options
