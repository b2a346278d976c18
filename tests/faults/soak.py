"""`make soak`: tests that take too long for every run. SOAK_MINUTES sets the length of the random faults (60)."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.faults.outages import server_killed
from tests.faults.rogue import possessed
from tests.faults.rogue_soak import WARM_UP, Soak

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.fleet import Fleet
    from tests.faults.ground import Ground

_MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
_SEED = os.environ.get("SOAK_SEED", str(random.randrange(1 << 32)))


@pytest.mark.timeout(_MINUTES * 60 + 300)
def test_random_faults(ground: Ground, tmp_path: Path) -> None:
    async def scenario() -> Soak:
        async with possessed(ground, tmp_path) as (one, inside):
            soak = Soak(ground=ground, one=one, inside=inside, chance=random.Random(_SEED))
            await soak.run(for_s=_MINUTES * 60)
            return soak

    soak = ground.run(scenario())
    missed, minutes = soak.missed(), soak.memory
    ground.table.record(
        f"{_MINUTES:.0f} minutes of random faults (SOAK_SEED={_SEED})",
        {
            "times": soak.struck.total(),
            "longest gap": f"{len(missed)} s missed of {soak.calm_s():.0f} s without a fault {missed[:5] or ''}",
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": f"at the start {minutes[0]}, at the end {minutes[-1]}; "
            f"{soak.reconnections()} reconnections; RSS {soak.grown_kb():+.0f} KB since minute {WARM_UP}; "
            f"MB by the minute: {' '.join(f'{each.rss_kb / 1024:.0f}' for each in minutes)}; "
            f"struck: {', '.join(f'{name} {count}' for name, count in soak.struck.most_common())}",
        },
        must=f"no second missed outside of the faults; RSS +{soak.allowed_kb():.0f} KB at most",
        ok=not missed and soak.grown_kb() <= soak.allowed_kb(),
    )


@pytest.mark.timeout(900)
def test_server_killed_for_10_min(ground: Ground, devices: Fleet) -> None:
    server_killed(ground, devices, away_s=600, times=1)
