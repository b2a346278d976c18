"""What is sent, as text: for the attribute that viewers read, and for the log. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

# Share of the last reported value. The room's target changes all the time, and each report goes to all participants.
_NOTABLE_CHANGE = 0.25
_REPORT_S = 10.0
_MEGA = 1_000_000
_LEAST_S = 0.9  # in less time there are too few pictures to compute a rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent since the last measurement: size in pixels, pictures and bits per second (of pictures alone)."""

    width: int
    height: int
    fps: float
    bitrate_bps: float

    def __str__(self) -> str:
        mega = self.bitrate_bps >= _MEGA
        rate = f"{self.bitrate_bps / _MEGA:.1f} Mbit/s" if mega else f"{max(1, round(self.bitrate_bps / 1e4))}0 kbit/s"
        return f"{self.width}x{self.height} at {self.fps:.0f} fps, {rate}"


@dataclass(slots=True)
class SendMeter:
    """Counts pictures and their bytes. A measurement starts a new count, and so does another size.

    A picture may be sent several times, with the same number.
    """

    _size: tuple[int, int] = field(default=(0, 0), init=False)
    _since: float = field(default=0.0, init=False)
    _pictures: int = field(default=0, init=False)
    _number: int | None = field(default=None, init=False)
    _bytes: int = field(default=0, init=False)

    def count(self, size_bytes: int, *, number: int, width: int, height: int, now: float) -> None:
        if (width, height) != self._size:
            self._size = (width, height)
            self._restart(now)
        self._pictures += number != self._number
        self._number = number
        self._bytes += size_bytes

    def measure(self, now: float) -> Sent | None:
        """Return what was sent since the last measurement; None if that is less than 0.9 s ago."""
        passed_s = now - self._since
        if passed_s < _LEAST_S or not self._pictures:
            return None
        sent = Sent(
            width=self._size[0],
            height=self._size[1],
            fps=self._pictures / passed_s,
            bitrate_bps=8 * self._bytes / passed_s,
        )
        self._restart(now)
        return sent

    def _restart(self, now: float) -> None:
        self._since, self._pictures, self._bytes = now, 0, 0


@dataclass(slots=True)
class SendSummary:
    """Decides what is reported: another size at once, other rates now and then."""

    _reported: Sent | None = field(default=None, init=False)
    _reported_at: float = field(default=float("-inf"), init=False)

    def update(self, sent: Sent, now: float) -> str | None:
        """Return the text to report, if what is sent has changed by enough."""
        last = self._reported
        if last is not None and (sent.width, sent.height) == (last.width, last.height):
            alike = not (_differ(sent.fps, last.fps) or _differ(sent.bitrate_bps, last.bitrate_bps))
            if alike or now - self._reported_at < _REPORT_S:
                return None
        self._reported, self._reported_at = sent, now
        return str(sent)


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > _NOTABLE_CHANGE * max(one, other)
