"""What the room's feedback means for the encoder. Pure: the caller brings the time, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.tracks.lossy_link import KEY_FRAMES_APART_S, LossyLink

if TYPE_CHECKING:
    from device.tracks.ladder import Ladder, Rung

# A key frame is several times as large as another frame; more of them make a lossy link worse.
MIN_KEY_FRAME_INTERVAL_S = 0.5
# The SDK's estimate changes about 30 times in its first 8 s; smaller steps than these are ignored.
_MIN_STEP_DOWN = 0.03
_MIN_STEP_UP = 0.05
_MIN_RISE_INTERVAL_S = 0.5
# A policed link lets a burst pass, and for a second the SDK estimates megabits: the bitrate starts at most here and
# rises at most this fast. Several cameras share the start.
_MAX_STEP_UP, _MAX_FIRST_BPS = 1.25, 500_000
# An encoder's buffer fits the bitrate of its last key frame. A bitrate far above that gets a new key frame after 2 s.
# One far below gets it at once: x264 takes 0.2 s to follow by itself, and a target that falls this fast is the first
# sign of losses, after which a viewer waits for a key frame.
_FAR_ABOVE, _FAR_BELOW, _FAR_FOR_S = 1.5, 0.7, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderCommands:
    """What to request from the encoder; None or False: no change. `repetitions` comes with a bitrate."""

    key_frame: bool = False
    all_key_frames: bool | None = None
    bitrate_bps: int | None = None
    rung: Rung | None = None
    repetitions: int = 0


@dataclass(slots=True, kw_only=True)
class EncoderControl:
    """Follows the room's target between floor and ceiling: down at once, up in steps. Limits the rate of key frames.

    `ladder` chooses size and rate of the pictures. `cameras` is how many start at the same time on this link.
    """

    floor_bps: int
    ceiling_bps: int
    ladder: Ladder
    cameras: int = 1
    link: LossyLink = field(default_factory=LossyLink, init=False)
    bitrate_bps: int | None = field(default=None, init=False)
    has_feedback: bool = field(default=False, init=False)
    _key_frame_at: float = field(default=float("-inf"), init=False)
    _key_frame_wanted: bool = field(default=False, init=False)
    _rose_at: float = field(default=float("-inf"), init=False)
    _wanted_bps: int | None = field(default=None, init=False)  # the target, within the bounds
    _keyed_bps: int | None = field(default=None, init=False)
    _far_since: float | None = field(default=None, init=False)
    _repetitions: int = field(default=0, init=False)

    def restarted(self) -> EncoderCommands:
        """Return the requests for a new publication: key frames only, until the first feedback."""
        self.has_feedback, self._wanted_bps = False, None
        self.ladder.reset()
        return EncoderCommands(all_key_frames=True)

    def settings(self) -> EncoderCommands:
        """Return all settings, for an encoder that has just started."""
        rung = self.ladder.rung if self.ladder.rung is not self.ladder.rungs[0] else None
        return EncoderCommands(
            all_key_frames=not self.has_feedback,
            bitrate_bps=self.bitrate_bps,
            rung=rung,
            repetitions=self._repetitions,
        )

    def limit(self, *, floor_bps: int, ceiling_bps: int, steps: tuple[Rung, ...]) -> EncoderCommands:
        """Use other bounds of the bitrate and another ladder from now on; return the requests for an encoder that runs.

        The last target is limited by the new bounds at the next feedback.
        """
        self.floor_bps, self.ceiling_bps = floor_bps, ceiling_bps
        rung = self.ladder.replace(steps)
        bitrate_bps = None
        if self.bitrate_bps is not None and not floor_bps <= self.bitrate_bps <= ceiling_bps:
            self.bitrate_bps = bitrate_bps = min(max(self.bitrate_bps, floor_bps), ceiling_bps)
        if self._wanted_bps is not None:
            self._wanted_bps = min(max(self._wanted_bps, floor_bps), ceiling_bps)
        key = rung is not None
        return EncoderCommands(bitrate_bps=bitrate_bps, rung=rung, key_frame=key, repetitions=self._repetitions)

    def feedback(self, *, key_frame_requested: bool, target_bps: int | None, now: float) -> EncoderCommands:
        """Take feedback; without a target the last one stays valid."""
        first = not self.has_feedback and (key_frame_requested or target_bps is not None)
        self.has_feedback = self.has_feedback or first
        # The units before the first feedback were key frames, but the SDK loses them while it starts the publication.
        self._key_frame_wanted = self._key_frame_wanted or first or key_frame_requested
        if target_bps is not None:
            self._wanted_bps = min(max(target_bps, self.floor_bps), self.ceiling_bps)
        bitrate_bps = None
        if self._wanted_bps is not None:
            wanted_bps = self._allowed(self._wanted_bps, now)
            self.ladder.update(wanted_bps, now)
            bitrate_bps = self._follow(wanted_bps, now)
            self._key_frame_wanted = self._key_frame_wanted or self._far(now)
        key_frame, rung = False, None
        if now - self._key_frame_at >= MIN_KEY_FRAME_INTERVAL_S:
            # A new size begins with a key frame, which also serves requests.
            rung = self.ladder.step(now)
            key_frame = self._key_frame_wanted or rung is not None
        if key_frame:
            # The units before the first feedback were key frames. A viewer that missed them may ask again at once.
            self._key_frame_at = self._key_frame_at if first else now
            self._key_frame_wanted = False
            self._keyed_bps, self._far_since = self.bitrate_bps, None
        repetitions = self.link.repetitions(self.ladder.rung.fps, now)
        if self.bitrate_bps is not None and repetitions != self._repetitions:
            self._repetitions, bitrate_bps = repetitions, self.bitrate_bps
        return EncoderCommands(
            key_frame=key_frame,
            all_key_frames=False if first else None,
            bitrate_bps=bitrate_bps,
            rung=rung,
            repetitions=self._repetitions,
        )

    def units_lost(self, now: float) -> EncoderCommands:
        """Return the requests after a unit was lost for all viewers."""
        if not self.has_feedback:
            return EncoderCommands()
        return self.feedback(key_frame_requested=True, target_bps=None, now=now)

    def _allowed(self, wanted_bps: int, now: float) -> int:
        """Return the target, as far as the link carries it."""
        if not self.link.lossy(now):
            return wanted_bps
        if now - self._key_frame_at >= KEY_FRAMES_APART_S:
            self._key_frame_wanted = True
        return self.link.limit(wanted_bps)

    def _far(self, now: float) -> bool:
        """Return whether the bitrate is too far from that of the last key frame."""
        if not self.bitrate_bps or not self._keyed_bps:
            return False
        if self.bitrate_bps <= self._keyed_bps * _FAR_BELOW:
            return True
        if self.bitrate_bps < self._keyed_bps * _FAR_ABOVE:
            self._far_since = None
            return False
        self._far_since = now if self._far_since is None else self._far_since
        return now - self._far_since >= _FAR_FOR_S

    def _follow(self, wanted: int, now: float) -> int | None:
        current = self.bitrate_bps
        if current is None:
            wanted = min(wanted, max(_MAX_FIRST_BPS // self.cameras, self.floor_bps))
            self._rose_at = now
        elif wanted > current:
            if now - self._rose_at < _MIN_RISE_INTERVAL_S:
                return None
            if wanted < current * (1 + _MIN_STEP_UP) and wanted != self.ceiling_bps:
                return None
            wanted = min(wanted, int(current * _MAX_STEP_UP))
            self._rose_at = now
        elif wanted == current or (wanted > current * (1 - _MIN_STEP_DOWN) and wanted != self.floor_bps):
            return None
        self.bitrate_bps = wanted
        return wanted
