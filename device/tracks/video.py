"""The video track: access units from the worker into the room, the room's feedback back to the encoder."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from livekit import rtc

from device.clock import epoch_of_us, monotonic_us
from device.ipc.messages import Done, ForceKeyFrame, SetBitrate, SetKeyFramesOnly, SetPaused, SetPictureLimits
from device.timeline import TIMELINE
from device.tracks.encoder_control import EncoderCommands, EncoderControl
from device.tracks.ladder import Ladder, Rung, rungs
from device.tracks.missing_units import MissingUnits
from device.tracks.rtp_times import RtpTimes
from device.tracks.send_stats import SendMeter, SendSummary, Sent
from device.tracks.spaced_units import SpacedUnits
from device.tracks.video_feed import video_feed

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.messages import CameraJob
    from device.ipc.registry import Request
    from device.media.picture import AccessUnit
    from device.media.reception import Reception

log = structlog.get_logger()

_LOSSY = 0.02


class VideoTrack:
    """One track for the life of the process; it is published again in every Room.

    `send` sends a request to the camera's worker. `cameras` is how many share the link. `on_viewer` is called when a
    viewer joins, `on_summary` gets a text about what is sent, when that changes by much.
    """

    kind = "camera"

    def __init__(
        self,
        name: str,
        job: CameraJob,
        *,
        send: Callable[[Request[Done]], object],
        cameras: int = 1,
        on_viewer: Callable[[], None] = lambda: None,
        on_summary: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._source = rtc.EncodedVideoSource(*job.published_size)
        self._sdk = video_feed(self._source)
        self.track = rtc.LocalVideoTrack.create_video_track(name, self._source)
        self._log = log.bind(track=name)
        self.fed, self.muted = 0, False  # muted by the room
        self.paused = False  # nothing is fed
        self.wanted = asyncio.Event()
        self._units = SpacedUnits(self._feed, on_dropped=self.request_key_frame, log=self._log)
        self._times = RtpTimes()
        self.sent: Sent | None = None
        self._missing, self._fed_before = MissingUnits(), 0
        self._key_wanted_at: float | None = None
        self._on_viewer, self._on_summary = on_viewer, on_summary
        self._meter, self._summary = SendMeter(), SendSummary()
        self.target_bps = 0
        self._send = send
        self._adopt(job)
        self._control = EncoderControl(
            floor_bps=job.bitrate_min_bps,
            ceiling_bps=job.bitrate_max_bps,
            ladder=Ladder(rungs=self._rungs()),
            cameras=cameras,
        )

    def reconfigure(self, job: CameraJob) -> None:
        """Use another job's bitrates, size and rate; its publication stays. The worker gets the job by itself."""
        self._adopt(job)
        self._apply(
            self._control.limit(floor_bps=job.bitrate_min_bps, ceiling_bps=job.bitrate_max_bps, steps=self._rungs())
        )

    def _adopt(self, job: CameraJob) -> None:
        self._job = job
        self._units.limit_spacing(fps=job.fps)

    def _rungs(self) -> tuple[Rung, ...]:
        width, height = self._job.published_size
        bounds = {"floor_bps": self._job.bitrate_min_bps, "ceiling_bps": self._job.bitrate_max_bps}
        steps = rungs(width=width, height=height, fps=self._job.fps, **bounds)
        return steps[:1] if self._job.encoder == "copy" else steps  # what is passed through cannot be made smaller

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

    def start_publication(self) -> None:
        """Get ready for a new publication; requests of the old one are forgotten."""
        self._sdk.take_feedback()
        self.forget_missing()
        self._apply(self._control.restarted())

    def unmuted(self) -> None:
        """Send a key frame, because viewers receive this track again."""
        self.forget_missing()
        self.request_key_frame()

    def request_key_frame(self) -> None:
        """Send a key frame, because an operator asks for one."""
        self._apply(self._control.units_lost(time.monotonic()))

    def forget(self) -> None:
        """Drop what still waits to be fed."""
        self._units.forget()

    def viewer_joined(self) -> None:
        """Note that a viewer has joined who has not received a picture yet."""
        self._on_viewer()

    def worker_started(self) -> None:
        """Send a new encoder its settings."""
        self._apply(self._control.settings())
        if self.paused:
            self._send(SetPaused(paused=True))

    def pause(self) -> None:
        """Feed nothing, and let the worker encode nothing, because nobody watches."""
        self.paused, self.sent, self._meter = True, None, SendMeter()
        self.forget()
        self._send(SetPaused(paused=True))

    def resume(self) -> None:
        """Feed again: at first key frames only, because the SDK starts its encoder again."""
        self.paused = False
        self._send(SetPaused(paused=False))
        self.start_publication()

    async def run(self) -> None:
        """Do nothing: units are fed as they are delivered."""

    def deliver(self, unit: AccessUnit) -> None:
        """Take one access unit; the units of a burst are fed a few milliseconds apart."""
        if not self.paused:
            self._units.deliver(unit)

    @property
    def dropped(self) -> int:
        """How many units were dropped because too many waited."""
        return self._units.dropped

    def taken(self, seconds: float, *, fed: int) -> None:
        """Do nothing: pictures are not taken by the second."""

    def sampled(self, sent: int, *, fed: int, reception: Reception | None) -> None:
        """Note how many of the `fed` units the SDK has sent, and the newest report about their packets.

        A missing unit spoils the picture until the next key frame. A viewer's decoder asks for one only after 3 s
        (libwebrtc: VideoReceiveStream2), so on a link that loses packets it gets them unasked.
        """
        if units := self._missing.update(fed=fed - self._fed_before, sent=sent):
            self._log.info("camera.units_lost", units=units)
        now = time.monotonic()
        if reception:
            self._control.link.sampled(sent=reception.sent, resent=reception.resent, now=now)
        if units or (reception and reception.lost > _LOSSY and not self._control.link.lossy(now)):
            self._apply(self._control.units_lost(now))
        self._log_sent(now, reception)

    def forget_missing(self) -> None:
        """Count as missing only what is fed from now on: the SDK sends none of the units before."""
        self._missing, self._fed_before = MissingUnits(), self.fed

    def _log_sent(self, now: float, reception: Reception | None) -> None:
        if (sent := self._meter.measure(now)) is None:
            return
        self.sent = sent
        self._log.debug(
            "camera.sent",
            width=sent.width,
            height=sent.height,
            fps=round(sent.fps, 1),
            sent_bps=round(sent.bitrate_bps),
            bitrate_bps=self._control.bitrate_bps,
            target_bps=self.target_bps,
            lost=round(reception.lost, 3) if reception else 0.0,
            rtt_s=round(reception.rtt_s, 3) if reception else 0.0,
            lossy=self._control.link.lossy(now),
        )
        if text := self._summary.update(sent, now):
            self._on_summary(text)

    def _feed(self, unit: AccessUnit) -> None:
        """Feed one access unit, and pass on the SDK's feedback for it."""
        user_timestamp = epoch_of_us(unit.captured_at_us)
        if (at_us := self._times.of(unit.captured_at_us, monotonic_us())) != unit.captured_at_us:
            unit = replace(unit, captured_at_us=at_us)
        accepted = self._sdk.capture(unit, user_timestamp=user_timestamp)
        now = time.monotonic()
        self.fed += 1
        TIMELINE.mark("first picture")
        self._meter.count(len(unit.payload), number=unit.number, width=unit.width, height=unit.height, now=now)
        if unit.key and self._key_wanted_at is not None:
            self._log.debug("camera.key_frame", after_s=round(now - self._key_wanted_at, 3))
            self._key_wanted_at = None
        feedback = self._sdk.take_feedback()
        if feedback.keyframe_requested and self._key_wanted_at is None:
            self._key_wanted_at = now
        rate = feedback.rate_control
        if rate and rate.target_bitrate_bps != self.target_bps:
            self.target_bps = rate.target_bitrate_bps
            TIMELINE.mark("first feedback")
            self._log.debug("camera.target", target_bps=self.target_bps)
        commands = self._control.feedback(
            # The next units depend on one that the SDK did not take.
            key_frame_requested=feedback.keyframe_requested or (self._control.has_feedback and not accepted),
            target_bps=rate.target_bitrate_bps if rate else None,
            now=now,
        )
        self._apply(commands)

    async def aclose(self) -> None:
        self._units.close()
        await self._source.aclose()

    def _apply(self, commands: EncoderCommands) -> None:
        if commands.all_key_frames is not None:
            self._send(SetKeyFramesOnly(enabled=commands.all_key_frames))
        if commands.bitrate_bps is not None:
            self._send(SetBitrate(bitrate_bps=commands.bitrate_bps, repetitions=commands.repetitions))
            self._log.debug("camera.bitrate", bitrate_bps=commands.bitrate_bps, repetitions=commands.repetitions)
        if (rung := commands.rung) is not None:
            self._send(SetPictureLimits(width=rung.width, height=rung.height, fps=rung.fps))
            why = f"the room's target is {self.target_bps // 1000} kbit/s"
            self._log.info("camera.rung", width=rung.width, height=rung.height, fps=rung.fps, why=why)
        if commands.key_frame:
            self._send(ForceKeyFrame())
