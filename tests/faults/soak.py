"""`make soak`: tests that take too long for every run. SOAK_MINUTES sets the length of the random faults (60)."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import SILENT, device
from tests.faults.outages import server_killed
from tests.faults.recovery import first_picture
from tests.faults.rejoins import QUICK, bare_program, lines, reconnect, settled
from tests.faults.rogue import possessed
from tests.faults.rogue_soak import WARM_UP, Soak
from tests.faults.servers import node

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.fleet import Fleet
    from tests.faults.footprint import Footprint
    from tests.faults.ground import Ground

_MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
_REJOINS, _SLACK_KB = min(int(os.environ.get("SOAK_TIMES", "1000")), 200) // 2, 20
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
def test_200_rejoins(ground: Ground, tmp_path: Path) -> None:
    """Glibc returns nothing by itself; the device trims. What the SDK keeps shows in the bare program."""

    async def scenario() -> list[tuple[Footprint, Footprint]]:
        with node(7950) as server:
            async with device(
                ground.network, [server], tmp_path, **(SILENT | QUICK | {"DEVICE_WATCH__MEMORY_MB": "0"})
            ) as one:
                one.start()
                await first_picture(one)
                # In a room of its own: beside another publisher the SDK keeps more, which `test_growth` measures.
                with bare_program(server, f"{one.room}-bare", tmp_path / "joins") as bare:
                    found = []
                    for _ in range(2):
                        await reconnect(server, one, _REJOINS, spacing_s=2.0)
                        found.append(await settled(one, bare.pid))
                    return found

    (early, early_bare), (late, late_bare) = ground.run(scenario())
    slope, slope_bare = (
        (after.rss_kb - before.rss_kb) / _REJOINS for before, after in ((early, late), (early_bare, late_bare))
    )
    ground.table.record(
        f"{2 * _REJOINS} rejoins, 2 s apart",
        {
            "times": 2 * _REJOINS,
            "events seen": f"after {_REJOINS}: {early}; after {2 * _REJOINS}: {late}; RSS {slope:+.0f} KB each, "
            f"the bare SDK {slope_bare:+.0f} KB each ({early_bare}; {late_bare}; {lines(tmp_path / 'joins')} joins)",
        },
        must=f"RSS no more than {_SLACK_KB} KB each in the last {_REJOINS}",
        ok=slope <= _SLACK_KB,
    )


@pytest.mark.timeout(900)
def test_server_killed_for_10_min(ground: Ground, devices: Fleet) -> None:
    server_killed(ground, devices, away_s=600, times=1)
