"""How often each row strikes, and the planned and the actual time of it."""

from __future__ import annotations

import os
from collections import Counter

SECONDS = {
    "test_signalling_cut_for_20_s": 40,
    "test_udp_blocked_from_the_start": 10,
    "test_udp_blocked_in_mid_stream": 100,
    "test_link_down_for_10_s": 70,
    "test_link_down_for_long": 130,
    "test_own_address_changed": 100,
    "test_relay_always": 10,
    "test_ipv6_alone": 10,
    "test_one_family_loses_everything": 25,
    "test_names_are_late_for_one_family": 10,
    "test_small_packets_only": 10,
    "test_random_loss_of_5_percent": 45,
    "test_random_loss_of_20_percent": 45,
    "test_daemon_killed_and_restarted": 80,
    "test_server_killed_for_5_s": 60,
    "test_server_killed_for_long": 70,
    "test_server_stopped_for_30_s": 40,
    "test_second_node_takes_over": 40,
    "test_worker": 80,
    "test_absent": 80,
    "test_both_workers": 20,
    "test_both_workers_while_the_room_reconnects": 30,
    "test_daemon_dies": 50,
    "test_executes_again": 40,
    "test_300_recoveries": 120,
    "test_thin_link": 180,
    "test_cameras_share_a_slow_link": 40,
    "test_flood_of_calls": 25,
    "test_nobody_watches": 45,
    "test_viewers_come_and_go": 60,
    "test_faults_while_nobody_watches": 60,
}
SIDE_BY_SIDE_S = 280  # tokens, reasons, clock, names, disk, growth: together as long as the longest of them
# What has to hold before each change has less time than the figures of the docs. Each row says how often it ran.
SHORT = bool(os.environ.get("FAULTS_SHORT"))
_TOOK: Counter[str] = Counter()


def as_often(usual: int, *, short: int) -> int:
    """Return how often a row strikes, or for how many seconds: `short` with FAULTS_SHORT."""
    return short if SHORT else usual


def took(nodeid: str, seconds: float) -> None:
    """Record the seconds of a test or of its setup."""
    _TOOK[nodeid.rpartition("::")[2].partition("[")[0]] += seconds  # type: ignore[assignment]


def lines() -> list[str]:
    """Return the plan, with the actual time of each row that ran."""
    lines = [
        f"plan: {name}: {seconds} s" + (f" (took {_TOOK[name]:.0f} s)" if _TOOK[name] else "")
        for name, seconds in SECONDS.items()
    ]
    in_all_s = sum(SECONDS.values()) + SIDE_BY_SIDE_S
    return [*lines, f"plan: all others side by side: {SIDE_BY_SIDE_S} s", f"plan: {in_all_s} s in all"]
