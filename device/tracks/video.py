"""The video track: access units from the worker into the room, the room's feedback back to the encoder."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

import structlog
from livekit import rtc

from device.clock import epoch_of_us
from device.ipc.messages import Done, ForceKeyFrame, SetBitrate, SetKeyFramesOnly, SetPictureLimits
from device.tracks.encoder_control import EncoderCommands, EncoderControl, Losses
from device.tracks.ladder import Ladder, rungs
from device.tracks.send_stats import Meter, News

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.messages import CameraJob
    from device.ipc.registry import Request
    from device.media.picture import AccessUnit

log = structlog.get_logger()

_KEY = rtc.EncodedFrameType.ENCODED_FRAME_KEY
_DELTA = rtc.EncodedFrameType.ENCODED_FRAME_DELTA
# libwebrtc drops one of two frames that wait for its encoder's thread (VideoStreamEncoder::OnFrame), and says nothing;
# all that build on it are garbage until the next key frame. So units that come in a burst are fed one by one.
_SPACING_S = 0.008
_MAX_WAITING = 30
_DROPS_LOG_INTERVAL_S = 10.0
_LOSSY = 0.02


class VideoTrack:
    """One track for the life of the process; it is published again in every Room."""

    def __init__(self, job: CameraJob, *, send: Callable[[Request[Done]], object]) -> None:
        self._source = rtc.EncodedVideoSource(job.width, job.height)
        self.track = rtc.LocalVideoTrack.create_video_track("camera", self._source)
        self.fed = 0
        self.muted = False  # by the room
        self._waiting: deque[AccessUnit] = deque()
        self._next_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # Half a period, or a burst at 120 fps would never be worked off.
        self._spacing_s = min(_SPACING_S, 0.5 / job.fps)
        self._dropped, self._log_drops_at = 0, 0.0
        self._losses, self._fed_before = Losses(), 0
        self._key_wanted_at: float | None = None
        self.on_viewer: Callable[[], None] | None = None
        self.on_news: Callable[[str], None] | None = None  # what is sent, in words
        self._meter, self._news = Meter(), News()
        self._target_bps = 0
        self._job = job
        self._send = send
        bounds = {"floor_bps": job.bitrate_min_bps, "ceiling_bps": job.bitrate_max_bps}
        steps = rungs(width=job.width, height=job.height, fps=job.fps, **bounds)
        if job.encoder == "copy":
            steps = steps[:1]  # a file that is passed through is as it is
        self._control = EncoderControl(**bounds, ladder=Ladder(rungs=steps))

    def options(self) -> rtc.TrackPublishOptions:
        return rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            stream="device",
            simulcast=False,
            video_codec=rtc.VideoCodec.H264,
            video_encoder=rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED,
            video_encoding=rtc.VideoEncoding(max_bitrate=self._job.bitrate_max_bps, max_framerate=self._job.fps),
            frame_metadata_features=[
                rtc.FrameMetadataFeature.FMF_USER_TIMESTAMP,
                rtc.FrameMetadataFeature.FMF_FRAME_ID,
            ],
        )

    def begin(self) -> None:
        """Get ready for a new publication; what the old one still wanted is forgotten."""
        self._source.take_feedback()
        self._losses, self._fed_before = Losses(), self.fed
        self._carry_out(self._control.restarted())

    def resumed(self) -> None:
        """Send a key frame, because viewers receive this track again after a mute."""
        self._losses, self._fed_before = Losses(), self.fed
        self._carry_out(self._control.lost(time.monotonic()))

    def welcome(self) -> None:
        """Note that a viewer has joined who sees nothing yet."""
        if self.on_viewer is not None:
            self.on_viewer()

    def worker_started(self) -> None:
        """Tell an encoder that has just started what is in force."""
        self._carry_out(self._control.current())

    def deliver(self, unit: AccessUnit) -> None:
        """Take one access unit; those that come in a burst are fed a few milliseconds apart."""
        if len(self._waiting) >= _MAX_WAITING:
            self._drop_waiting(time.monotonic())
        self._waiting.append(unit)
        if self._timer is None:
            self._feed_waiting()

    def sent(self, frames: int, *, of: int, lost: float) -> None:
        """Note how many units the SDK has sent `of` those that it was fed, and which share of the packets got lost.

        What is missing takes a key frame to mend. A viewer's decoder asks for one only after 3 s of waiting
        (libwebrtc: VideoReceiveStream2), so a link that loses packets gets them unasked.
        """
        if units := self._losses.look(fed=of - self._fed_before, sent=frames):
            log.info("camera.units_lost", units=units)
        if units or lost > _LOSSY:
            self._carry_out(self._control.lost(time.monotonic()))
        self._tell(time.monotonic(), lost)

    def _tell(self, now: float, lost: float) -> None:
        if (sent := self._meter.look(now)) is None:
            return
        log.debug(
            "camera.sent",
            width=sent.width,
            height=sent.height,
            fps=round(sent.fps, 1),
            sent_bps=round(sent.bitrate_bps),
            bitrate_bps=self._control.bitrate_bps,
            target_bps=self._target_bps,
            lost=round(lost, 3),
        )
        if self.on_news is not None and (news := self._news.of(sent, now)):
            self.on_news(news)

    def _drop_waiting(self, now: float) -> None:
        self._dropped += len(self._waiting)
        self._waiting.clear()
        if now >= self._log_drops_at:
            self._log_drops_at = now + _DROPS_LOG_INTERVAL_S
            log.info("camera.units_dropped", units=self._dropped, cause="more units than the SDK can be fed with")
            self._dropped = 0
        self._carry_out(self._control.lost(now))

    def _feed_waiting(self) -> None:
        self._timer = None
        now = time.monotonic()
        if now >= self._next_at and self._waiting:
            self._next_at = now + self._spacing_s
            self._feed(self._waiting.popleft())
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(self._next_at - now, self._feed_waiting)

    def _feed(self, unit: AccessUnit) -> None:
        """Feed one access unit, and pass on the SDK's feedback for it."""
        accepted = self._source.capture_frame(
            rtc.EncodedVideoFrame(
                data=unit.payload,
                width=unit.width,
                height=unit.height,
                codec=rtc.VideoCodec.H264,
                frame_type=_KEY if unit.key else _DELTA,
                timestamp_us=unit.captured_at_us,
                metadata=rtc.FrameMetadata(user_timestamp=epoch_of_us(unit.captured_at_us), frame_id=unit.number),
            )
        )
        now = time.monotonic()
        self.fed += 1
        self._meter.count(len(unit.payload), width=unit.width, height=unit.height, now=now)
        if unit.key and self._key_wanted_at is not None:
            log.debug("camera.key_frame", after_s=round(now - self._key_wanted_at, 3))
            self._key_wanted_at = None
        feedback = self._source.take_feedback()
        if feedback.keyframe_requested and self._key_wanted_at is None:
            self._key_wanted_at = now
        rate = feedback.rate_control
        if rate and rate.target_bitrate_bps != self._target_bps:
            self._target_bps = rate.target_bitrate_bps
            log.debug("camera.target", target_bps=self._target_bps)
        orders = self._control.feedback(
            # What the SDK did not take is missing for the next ones.
            key_frame_requested=feedback.keyframe_requested or (self._control.heard and not accepted),
            target_bps=rate.target_bitrate_bps if rate else None,
            now=now,
        )
        self._carry_out(orders)

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._source.aclose()

    def _carry_out(self, orders: EncoderCommands) -> None:
        if orders.all_key_frames is not None:
            self._send(SetKeyFramesOnly(enabled=orders.all_key_frames))
        if orders.bitrate_bps is not None:
            self._send(SetBitrate(bitrate_bps=orders.bitrate_bps))
            log.debug("camera.bitrate", bitrate_bps=orders.bitrate_bps)
        if (rung := orders.rung) is not None:
            self._send(SetPictureLimits(width=rung.width, height=rung.height, fps=rung.fps))
            why = f"the room's target is {self._target_bps // 1000} kbit/s"
            log.info("camera.rung", width=rung.width, height=rung.height, fps=rung.fps, why=why)
        if orders.key_frame:
            self._send(ForceKeyFrame())
