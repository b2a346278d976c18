"""What the room's feedback means for the encoder. Pure: the caller brings the time, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.tracks.ladder import Ladder, Rung

# A key frame is several times the size of another; more of them help nobody on a link that loses packets.
MIN_KEY_FRAME_INTERVAL_S = 0.5
# The estimate moves some 30 times in its first 8 s; steps below these are not worth a change of the encoder.
_MIN_STEP_DOWN = 0.03
_MIN_STEP_UP = 0.05
_MIN_RISE_INTERVAL_S = 0.5
# A link that lets a burst pass, as policed ones do, has the SDK believe in megabits for a second: no faster than this,
# from no more than this at first.
_MAX_STEP_UP, _MOST_AT_FIRST_BPS = 1.25, 500_000
# An encoder's buffer fits the bitrate that was in force at its last key frame. Far above that for long, it gets
# another; far below at once, for x264 takes 0.2 s to come down by itself, and a target that falls that fast
# tells of losses before the reports do: a viewer waits for a key frame then.
_FAR_ABOVE, _FAR_BELOW, _FAR_FOR_S = 1.5, 0.7, 2.0
_LOOKS, _MIN_LOST = 3, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderCommands:
    """What to tell the encoder now, if anything."""

    key_frame: bool = False
    all_key_frames: bool | None = None
    bitrate_bps: int | None = None
    rung: Rung | None = None


@dataclass(slots=True, kw_only=True)
class EncoderControl:
    """Follows the target between floor and ceiling: down at once, up in steps; key frames on request, spaced out.

    `ladder` says how large the pictures are for that, and how many.
    """

    floor_bps: int
    ceiling_bps: int
    ladder: Ladder
    bitrate_bps: int | None = field(default=None, init=False)
    heard: bool = field(default=False, init=False)
    _key_frame_at: float = field(default=float("-inf"), init=False)
    _key_frame_owed: bool = field(default=False, init=False)
    _rose_at: float = field(default=float("-inf"), init=False)
    _wanted_bps: int | None = field(default=None, init=False)  # the target, within the bounds
    _keyed_bps: int | None = field(default=None, init=False)
    _far_since: float | None = field(default=None, init=False)

    def restarted(self) -> EncoderCommands:
        """Return what a new publication needs: key frames alone until the room is heard for the first time."""
        self.heard, self._wanted_bps = False, None
        self.ladder.forget()
        return EncoderCommands(all_key_frames=True)

    def current(self) -> EncoderCommands:
        """Return all that is in force, for an encoder that has just started."""
        rung = self.ladder.rung if self.ladder.rung is not self.ladder.rungs[0] else None
        return EncoderCommands(all_key_frames=not self.heard, bitrate_bps=self.bitrate_bps, rung=rung)

    def feedback(self, *, key_frame_requested: bool, target_bps: int | None, now: float) -> EncoderCommands:
        """Decide on one piece of feedback; without a target the last one still holds."""
        first = not self.heard and (key_frame_requested or target_bps is not None)
        self.heard = self.heard or first
        # The units before the first feedback were key frames and are lost while the SDK changes over.
        self._key_frame_owed = self._key_frame_owed or first or key_frame_requested
        if target_bps is not None:
            self._wanted_bps = min(max(target_bps, self.floor_bps), self.ceiling_bps)
        bitrate_bps = None
        if self._wanted_bps is not None:
            self.ladder.saw(self._wanted_bps, now)
            bitrate_bps = self._follow(self._wanted_bps, now)
            self._key_frame_owed = self._key_frame_owed or self._far(now)
        key_frame, rung = False, None
        if now - self._key_frame_at >= MIN_KEY_FRAME_INTERVAL_S:
            # A new size begins with a key frame, which is owed to nobody twice.
            rung = self.ladder.step(now)
            key_frame = self._key_frame_owed or rung is not None
        if key_frame:
            # The first one ends a row of key frames; who has seen none of them asks for another, and is not to wait.
            self._key_frame_at = self._key_frame_at if first else now
            self._key_frame_owed = False
            self._keyed_bps, self._far_since = self.bitrate_bps, None
        return EncoderCommands(
            key_frame=key_frame,
            all_key_frames=False if first else None,
            bitrate_bps=bitrate_bps,
            rung=rung,
        )

    def lost(self, now: float) -> EncoderCommands:
        """Return what mends a unit that is lost for all viewers."""
        return self.feedback(key_frame_requested=True, target_bps=None, now=now) if self.heard else EncoderCommands()

    def _far(self, now: float) -> bool:
        """Say whether the bitrate is too far from that of the last key frame."""
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
            wanted = min(wanted, max(_MOST_AT_FIRST_BPS, self.floor_bps))
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


@dataclass(slots=True)
class Losses:
    """Tells of units that the SDK was fed and has not sent, from looks at both counts.

    The two are not taken at the same moment: only what is missing in three looks in a row, and is more than
    what one look may be wrong by, counts.
    """

    _missing: int | None = field(default=None, init=False)
    _looks: tuple[int, ...] = field(default=(), init=False)

    def look(self, *, fed: int, sent: int) -> int:
        """Return how many units more are missing than when this last told of any; 0 as a rule.

        The first ones after a publication are lost while the SDK changes over: they do not count.
        """
        if not sent:
            return 0
        self._looks = (*self._looks, fed - sent)[-_LOOKS:]
        surely = min(self._looks)
        if self._missing is None or surely < self._missing or len(self._looks) < _LOOKS:
            self._missing = surely
            return 0
        lost = surely - self._missing
        if lost < _MIN_LOST:
            return 0
        self._missing = surely
        return lost
