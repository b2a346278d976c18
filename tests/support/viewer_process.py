"""`livekit-device viewer`, as a process."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.children import end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def viewer_process(config: Path, variables: dict[str, str], *options: str, bind: str = "127.0.0.1:0") -> Iterator[str]:
    """Serve pages while the context lasts; yield the link that is printed first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "viewer", *options, "--config", config, "--bind", bind],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        end(process)
        assert process.stdout
        process.stdout.close()
