"""Recognises a link that loses many packets for a while, and keeps the bitrate low meanwhile. Pure; times in seconds.

livekit-server reports the packets that it has received for each 20 of them. With a fifth of them lost, and of the
reports, the SDK sometimes learns nothing for seconds. Then it takes all that it has sent for being on its way, sends no
more pictures (libwebrtc: CongestionWindowPushbackController), so that there is nothing to report, and that lasts until
its estimate of the link has fallen to nothing. With a low bitrate in many packets it can wait for the next report.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

# What is sent until the report after the next must be less than the SDK's window, which is 0.35 s of its estimate.
_SHARE, LEAST_BPS, MOST_BPS = 0.15, 40_000, 100_000
_PACKETS_PER_S, _MOST_REPETITIONS = 60, 4
# The server's reports count packets as received that were sent again. So what counts is how many are sent again: at a
# loss of 5 % a twentieth, at 20 % a quarter. A policer's loss is more, and over after four seconds.
_SAMPLES, _LOSSY_SAMPLES = 6, 5
_SOME, _MOST, _MANY, _FEW = 0.04, 0.6, 0.12, 0.06
_LASTS_S = 15.0  # until the estimate has risen again
# If as many of the newest counts have hardly any losses, and enough packets, they are over. By chance that is next to
# impossible where a tenth is lost.
_CLEAN_SAMPLES, _CLEAN, _ENOUGH_PACKETS = 3, 0.02, 15
# What no repetition repairs, a viewer notices only after 3 s without a picture.
KEY_FRAMES_APART_S = 1.5


@dataclass(slots=True)
class LossyLink:
    """Takes the counts of one track's packets, once a second."""

    _last: tuple[int, int] | None = field(default=None, init=False)
    _samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_SAMPLES), init=False)
    _lossy_until: float = field(default=float("-inf"), init=False)

    def sampled(self, *, sent: int, resent: int, now: float) -> None:
        """Note how many packets were sent in this session, and how many of them were sent again."""
        last, self._last = self._last, (sent, resent)
        if last is None or sent < last[0] or resent < last[1]:
            self._samples.clear()
            return
        if sent == last[0]:
            return
        self._samples.append((sent - last[0], resent - last[1]))
        share = sum(again for _, again in self._samples) / sum(each for each, _ in self._samples)
        lossy = sum(each * _SOME < again < each * _MOST for each, again in self._samples)
        if (share >= _MANY and lossy >= _LOSSY_SAMPLES) or (share >= _FEW and now < self._lossy_until):
            self._lossy_until = now + _LASTS_S
        newest = list(self._samples)[-_CLEAN_SAMPLES:]
        clean = all(each >= _ENOUGH_PACKETS and again < each * _CLEAN for each, again in newest)
        if clean and len(newest) == _CLEAN_SAMPLES:
            self._lossy_until = float("-inf")

    def lossy(self, now: float) -> bool:
        """Return whether the link loses so much that the bitrate has to be low."""
        return now < self._lossy_until

    def limit(self, target_bps: int) -> int:
        """Return the bitrate on a lossy link; it may be below the configured minimum, or nothing would arrive."""
        return min(target_bps, MOST_BPS, max(LEAST_BPS, int(target_bps * _SHARE)))

    def repetitions(self, fps: int, now: float) -> int:
        """Return how many times more each picture has to be sent, for enough packets."""
        return min(-(-_PACKETS_PER_S // fps) - 1, _MOST_REPETITIONS) if self.lossy(now) else 0
