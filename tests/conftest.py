"""Fixtures of all tests."""

from __future__ import annotations

import os
import signal
import tempfile
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support import children
from tests.support.livekit_server import Server, livekit_server
from tests.support.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

_TURNS = Turns()


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGINT work in child processes: a shell starts background jobs, as these tests may be, with it ignored.

    Daemons without a runtime directory of their own put their control socket into a folder of the tests.
    """
    folder = tempfile.TemporaryDirectory(prefix="run-")
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_RUNTIME_DIR"] = folder.name
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that run alone: in a row, the others wait for them once."""
    items.sort(key=lambda item: not _alone(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Let a test that is marked `alone` run beside no other. Waiting for a turn does not count for its time limit."""
    _TURNS.take(alone=_alone(item))
    try:
        return (yield)
    finally:
        if not (_alone(item) and nextitem and _alone(nextitem)):
            _TURNS.give()


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One real livekit-server for all tests that do not change it."""
    with livekit_server(prefer=(0, 0)) as running:
        assert running.process
        children.shared.add(running.process.pid)
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
