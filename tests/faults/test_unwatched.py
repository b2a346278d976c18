"""Nobody watches: what is sent meanwhile, how soon a viewer has the picture, and faults while a camera is paused.

`make soak` measures the same for ten minutes each.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.faults import unwatched_rows
from tests.faults.unwatched import PAUSE, SLEEP

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from tests.faults.ground import Ground

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.timeout(300)]

_STAGGER_S = 3.0  # a start uses two cores for a while
# Of a few viewers on a machine with other work; `make soak` has the bounds of 0.5 and 2 s.
_FIRST_S, _OPENS_S = 1.5, 4.0


def test_nobody_watches(ground: Ground, tmp_path: Path) -> None:
    ground.run(unwatched_rows.nobody_watches(ground, tmp_path, each_s=8))


def test_viewers_come_and_go(ground: Ground, tmp_path: Path) -> None:
    rows = (
        unwatched_rows.viewers_leave(ground, tmp_path),
        unwatched_rows.a_viewer_now_and_then(ground, tmp_path, PAUSE, times=3, every_s=0, within_s=_FIRST_S),
        unwatched_rows.a_viewer_now_and_then(ground, tmp_path, SLEEP, times=2, every_s=0, within_s=_OPENS_S),
        unwatched_rows.subscription_toggled(ground, tmp_path, times=20, every_s=0.6),
    )

    async def later(number: int, row: Coroutine[None, None, None]) -> None:
        await asyncio.sleep(number * _STAGGER_S)
        await row

    async def scenario() -> None:
        results = await asyncio.gather(*(later(*each) for each in enumerate(rows)), return_exceptions=True)
        for error in filter(None, results):
            raise error  # the rows of the others are there

    ground.run(scenario())


def test_faults_while_nobody_watches(ground: Ground, tmp_path: Path) -> None:
    ground.run(unwatched_rows.faults(ground, tmp_path, times=1, first_s=_FIRST_S, opens_s=_OPENS_S))
