"""Virtual workers, and a world that does with them what `recovery` says and holds it to its promises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.ipc.restart_policy import Action, RestartPolicy, Step

if TYPE_CHECKING:
    from collections.abc import Callable

STALL_S, STARTUP_S, FIRST_S = 2.0, 30.0, 10.0
BASE_S, CAP_S, RESET_S, MIN_DELAY_S = 0.25, 15.0, 30.0, 0.05


def recovery(
    uniform: Callable[[float, float], float] = lambda _low, high: high, *, stall_s: float = STALL_S
) -> RestartPolicy:
    return RestartPolicy(stall_s=stall_s, startup_s=STARTUP_S, first_s=FIRST_S, uniform=uniform)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What becomes of one worker, in seconds from one event to the next; what does not happen is None."""

    spawns: bool = True
    hello_after_s: float | None = 1.0
    first_after_s: float | None = 0.5
    gaps_s: tuple[float, ...] = ()  # between units
    dies_after_s: float | None = None  # after the last of all that; None: it hangs
    ending_s: float = 0.1  # what asking and killing take
    appears_after_s: float | None = None  # a device is plugged in, so long after the end
    share: float = 1.0  # what chance draws of each range

    def events(self) -> list[tuple[float, str]]:
        """Return what happens between spawn and death: after how long, and what."""
        events = []
        if self.hello_after_s is not None:
            events.append((self.hello_after_s, "hello"))
        if self.first_after_s is not None:
            events.append((self.first_after_s, "unit"))
            events.extend((gap_s, "unit") for gap_s in self.gaps_s)
        if self.dies_after_s is not None:
            events.append((self.dies_after_s, "death"))
        return events


@dataclass(slots=True)
class World:
    """Does what the policy says, as `Supervisor` does, and holds it to its promises at each step."""

    policy: RestartPolicy = field(init=False)
    now: float = 1000.0
    share: float = 1.0
    spawns: list[float] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    deaths: int = 0
    failures: int = 0
    sign_at: float = 0.0
    patience_s: float = 0.0
    units: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = recovery(self.chance)

    def chance(self, low: float, high: float) -> float:
        return low + self.share * (high - low)

    def live(self, life: Life) -> None:
        """One worker, from its start until the next is due."""
        assert self.policy.next(self.now) == Step(Action.SPAWN)
        self.spawns.append(self.now)
        self.units, self.share = [], life.share
        if life.spawns:
            self.policy.spawned(self.now)
            self.expect(STARTUP_S)
            self.watch(life)
            self.now += life.ending_s
        self.end(life)

    def watch(self, life: Life) -> None:
        """Watch the worker until it has died or counts as dead."""
        for after_s, what in life.events():
            if not self.wait_until(max(self.now, self.sign_at + after_s)):
                return
            if what == "death":
                return
            if what == "hello":
                self.policy.capturing(self.now)
                self.expect(FIRST_S)
            else:
                assert self.policy.delivered(self.now) == (not self.units)
                self.units.append(self.now)
                self.expect(self.policy.stall_s)
        assert not self.wait_until(float("inf"))

    def wait_until(self, moment: float) -> bool:
        """Look whenever the policy wants to; say whether the worker still counts as alive at this moment."""
        dead_at = self.sign_at + self.patience_s
        while True:
            step = self.policy.next(self.now)
            if step.action is Action.END:
                assert self.now == dead_at
                assert self.policy.stall_text() == f"nothing came for {self.patience_s:g} s"
                self.deaths += 1
                return False
            assert step.action is Action.WATCH  # never a second worker beside the first
            assert self.now < step.until <= dead_at
            assert step.until - self.now <= self.policy.stall_s / 4 + 1e-6
            if moment < step.until:
                self.now = moment
                return True
            self.now = step.until

    def end(self, life: Life) -> None:
        delay_s = self.policy.ended(self.now)
        if self.units and self.units[-1] - self.units[0] >= RESET_S:
            self.failures = 0
        assert delay_s == max(MIN_DELAY_S, self.chance(0.0, min(CAP_S, BASE_S * 2.0**self.failures)))
        assert MIN_DELAY_S <= delay_s <= CAP_S
        self.failures = min(self.failures + 1, 16)
        self.delays_s.append(delay_s)
        assert self.policy.next(self.now) == Step(Action.WAIT, self.now + delay_s)
        if life.appears_after_s is not None and life.appears_after_s < delay_s:
            self.now += life.appears_after_s
            assert self.policy.next(self.now).action is Action.WAIT
            self.policy.device_connected(self.now)
            self.failures = 0
            return
        assert self.policy.next(self.now + delay_s * 0.999).action is Action.WAIT
        self.now += delay_s

    def expect(self, within_s: float) -> None:
        self.sign_at, self.patience_s = self.now, within_s
