"""Failures of a device's token endpoint."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.bad_endpoint import Trouble, bad_endpoint
from tests.faults.device import SILENT, device
from tests.faults.fleet import Measured
from tests.faults.moments import Moment
from tests.faults.recovery import picture_after

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.ground import Ground
    from tests.faults.side_by_side import SideBySide

_BAD_S = 25.0
_MOST_TRIES = 15  # full jitter from 0.5 s on: seven or eight attempts are expected
_CAP_S, _JOIN_S = 30.0, 5.0
_NO_KEY = {"DEVICE_CREDENTIALS__API_KEY": "", "DEVICE_CREDENTIALS__API_SECRET": ""}


async def _endpoints(ground: Ground, folder: Path) -> None:
    """Run all failures at once, because the devices mostly wait."""
    troubles = (_endpoint(ground, folder, trouble, 8100 + number) for number, trouble in enumerate(Trouble))
    rows = await asyncio.gather(*troubles)
    failed = []
    for trouble, (tries, measured, events) in zip(Trouble, rows, strict=True):
        try:
            ground.table.record(
                f"token endpoint {trouble.value} for {_BAD_S:.0f} s, from the start",
                {"times": 1, "video again": measured.video, "events seen": f"{tries} tries; {events}"},
                must=f"2 to {_MOST_TRIES} tries; video <= {_CAP_S + _JOIN_S:.0f} s after it is well",
                ok=2 <= tries <= _MOST_TRIES and measured.video.worst <= _CAP_S + _JOIN_S,
            )
        except AssertionError as error:
            failed.append(str(error))
    assert not failed, "\n".join(failed)


async def _endpoint(ground: Ground, folder: Path, trouble: Trouble, port: int) -> tuple[int, Measured, str]:
    async with bad_endpoint(ground.server, trouble, port) as endpoint:
        variables = SILENT | _NO_KEY | {"DEVICE_CREDENTIALS__ENDPOINT": endpoint.url}
        async with device(ground.network, [ground.server], folder, **variables) as one:
            one.start()
            await asyncio.sleep(_BAD_S)
            events = [line.get("times", 1) for line in one.since((0, 0), "room.waiting")]
            tries = max([endpoint.requests, *events])
            await endpoint.heal()
            measured = Measured()
            within_s = _CAP_S + 3 * _JOIN_S
            measured.video.seconds.append(await picture_after(one, Moment.now(), within_s=within_s))
            retried = one.since((0, 0), "room.waiting")
            return tries, measured, retried[-1]["why"] if retried else "nothing logged"


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(500)
@pytest.mark.side_by_side.with_args(_endpoints)
def test_token_endpoint(side_by_side: SideBySide) -> None:
    scenario: Any = _endpoints
    side_by_side.wait(scenario)
