"""Runs one command of the device to its end."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LIMIT_S = 60


def command(*arguments: str | Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Return exit code and output of `livekit-device ARGUMENTS` in this environment."""
    return subprocess.run(
        [sys.executable, "-m", "device", *arguments],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
