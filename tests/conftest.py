"""Fixtures of all tests."""

from __future__ import annotations

import signal
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support.livekit_server import Server, livekit_server
from tests.support.turns import turn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path


def pytest_configure() -> None:
    """Let SIGINT work in child processes: a shell starts background jobs, as these tests may be, with it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that is marked `alone` run beside no other; waiting for that is outside of the test's time limit."""
    with turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One real livekit-server for all tests that do not change it."""
    with livekit_server(prefer=(0, 0)) as running:
        yield running


@pytest.fixture
def room() -> str:
    """Return a room of the test's own."""
    return f"room-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return an empty configuration, because the tests set everything by environment variables."""
    path = tmp_path / "device.toml"
    path.write_text("")
    return path
