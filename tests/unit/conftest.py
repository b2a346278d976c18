"""Fixtures for all unit tests: an environment without DEVICE_ variables, and the original logging configuration."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import settings

from device.viewer import access
from tests.support.children import living_descendants

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

# Shared machines with two cores are too slow for deadlines of single examples. Failures must not depend on the day.
settings.register_profile("unit", deadline=None, derandomize=True, database=None)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        ours = name.upper().startswith("DEVICE_") or name.upper().endswith("_PROXY")
        if ours or name in ("CREDENTIALS_DIRECTORY", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def rights_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pytest's own process as root, where a test calls a viewer's command in it; children give it up for real."""
    monkeypatch.setattr(access, "give_up_root", lambda: "")


@pytest.fixture
def no_orphans(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End with as many child processes as before; they can import the tests' modules."""
    monkeypatch.chdir(ROOT)
    before = living_descendants(os.getpid())
    yield
    gc.collect()  # report leftovers in this test, not in the next one
    left = living_descendants(os.getpid()) - before
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Undo `device.log.configure`, which affects the whole process."""
    root, livekit = logging.getLogger(), logging.getLogger("livekit")
    handlers, level, livekit_level = root.handlers, root.level, livekit.level
    with warnings.catch_warnings():
        yield
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    livekit.setLevel(livekit_level)
    logging.getLogger("asyncio").setLevel(logging.NOTSET)
    structlog.reset_defaults()
