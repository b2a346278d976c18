"""The operator's page in Chromium, with a real server and daemon: each operation through its panel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_viewer import _page
from tests.support import daemon as daemons
from tests.support.children import end
from tests.support.v4l2_cameras import Camera, Tree, marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.livekit_server import Server

pytestmark = [pytest.mark.timeout(240)]

_LIVE_S = 45
_ALL = '["status", "config", "controls", "set", "reset", "snapshot", "key_frame", "restart", "privacy", "run", "logs", "rejoin"]'
CONFIG = f"""
[control]
allow = [{{ identity = "ops-*", operations = {_ALL} }}]
[commands.lamp]
run = ["/bin/echo", "<b>lamp</b> is", "{{state}}"]
arguments = {{ state = ["on", "off"] }}
[commands.fail]
run = ["/bin/false"]
"""


@contextmanager
def operator(config: Path, variables: dict[str, str], *arguments: str) -> Iterator[str]:
    """Serve the operator's page; yield its link."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "device",
            "viewer",
            "--operator",
            "--config",
            config,
            "--bind",
            "127.0.0.1:0",
            *arguments,
        ],
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


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def says(page: Page, panel: str, pattern: str) -> None:
    expect(page.locator(f"#{panel}-result")).to_have_text(re.compile(pattern), timeout=_LIVE_S * 1000)


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
