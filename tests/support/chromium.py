"""The viewer page in Chromium, by Playwright."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, ViewportSize, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
COMPUTER: ViewportSize = {"width": 1280, "height": 720}
PHONE: ViewportSize = {"width": 375, "height": 667}
NEEDS_CHROMIUM = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH (apt install chromium)"),
    pytest.mark.timeout(240),
]
_WITHIN_S = 45


@contextmanager
def open_page(
    url: str, *, script: str = "", arguments: Sequence[str] = ARGUMENTS, size: ViewportSize = COMPUTER
) -> Iterator[Page]:
    """Open a page in a new browser; the script runs before the page's own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=arguments)
        try:
            page = browser.new_page(viewport=size)
            page.add_init_script(script)
            page.goto(url)
            _until_loaded(page)
            yield page
        finally:
            browser.close()


def _until_loaded(page: Page) -> None:
    give_up_at = time.monotonic() + _WITHIN_S
    while not page.evaluate("Boolean(window.viewer)"):
        assert time.monotonic() < give_up_at, page.content()
        page.wait_for_timeout(20)


def until(page: Page, holds: str) -> Any:
    """Return the first true value of an expression; with `evaluate`, because the page's policy forbids eval."""
    give_up_at = time.monotonic() + _WITHIN_S
    while not (value := page.evaluate(holds)):
        assert time.monotonic() < give_up_at, (holds, page.evaluate("[viewer.state, viewer.stats]"))
        page.wait_for_timeout(100)
    return value


def until_live(page: Page) -> dict[str, Any]:
    """Return the figures of a page once it shows a picture and plays sound."""
    until(page, "viewer.state === 'live' && viewer.stats.frames > 60 && viewer.stats.audio_level > 0.005")
    stats: dict[str, Any] = page.evaluate("viewer.stats")
    return stats


def shoot(page: Page, name: str) -> None:
    """Save a screenshot if SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")
