"""The viewer page after its computer slept: Chromium's processes are stopped and go on. `make integration`, by hand."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.test_viewer_elsewhere import SMALL
from tests.support import daemon as daemons
from tests.support.children import living_descendants
from tests.support.chromium import NEEDS_CHROMIUM, open_page, until
from tests.support.viewer_process import viewer_process

if TYPE_CHECKING:
    from tests.support.livekit_server import Server

pytestmark = NEEDS_CHROMIUM

_ASLEEP_S = 20  # by then the server has removed the participant
_WITHIN_S = 5


def _chromium() -> list[int]:
    return [pid for pid in living_descendants(os.getpid()) if "chromium" in Path(f"/proc/{pid}/cmdline").read_text()]


def test_the_page_is_live_again_soon_after_a_sleep(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room, **SMALL)
    with daemons.running(config, variables), viewer_process(config, variables) as url, open_page(url) as page:
        until(page, "viewer.state === 'live' && viewer.stats.frames > 20")
        processes = _chromium()
        assert len(processes) > 2
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(_ASLEEP_S)
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
        began = time.monotonic()
        until(page, "viewer.joins === 2 && viewer.state === 'live'")
        took_s = time.monotonic() - began
        sys.stdout.write(f"live {took_s:.1f} s after a sleep of {_ASLEEP_S} s\n")
        assert took_s < _WITHIN_S
