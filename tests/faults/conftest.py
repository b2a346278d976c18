"""Fixtures of the fault tests: the network, the server, the devices, and the table of results."""

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.fleet import Fleet, fleet
from tests.faults.ground import Ground
from tests.faults.namespaces import enter_fresh_namespace
from tests.faults.network import Network
from tests.faults.servers import Node, node
from tests.faults.side_by_side import Kept, SideBySide
from tests.support.processors import IdleMeter
from tests.support.table import Table

_COLUMNS = (
    "fault",
    "times",
    "slate after",
    "video again",
    "audio again",
    "longest gap",
    "idle",
    "must hold",
    "ok",
    "events seen",
)
TABLE = Table(title="faults (seconds: p50 / p95 / worst)", columns=_COLUMNS, file=os.environ.get("FAULTS_TABLE", ""))
_PORT = 7880
_BEGAN = time.monotonic()


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """Move this process into a network namespace, and create one for devices behind a router."""
    if os.geteuid():
        pytest.exit("make faults needs root: it makes network namespaces", returncode=2)
    enter_fresh_namespace()
    made = Network()
    try:
        made.wire()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def runner(network: Network) -> Iterator[asyncio.Runner]:  # noqa: ARG001 - the SDK's threads are to start in there
    """One event loop for all rows, in which the viewers run from row to row."""
    logging.getLogger("livekit").setLevel(logging.CRITICAL)  # it logs a long line for each fault
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="session")
def main_server(network: Network) -> Iterator[Node]:  # noqa: ARG001 - that is where it listens
    with node(_PORT) as running:
        yield running


@pytest.fixture(scope="session")
def fleets() -> list[Fleet]:
    """Return the container for the fleet, which is created when it is first needed."""
    return []


@pytest.fixture
def quiet(fleets: list[Fleet]) -> None:
    """Stop the fleet's devices during the test, because there are only two cores."""
    for each in fleets:
        each.pause()


@pytest.fixture(scope="session")
def devices(ground: Ground, fleets: list[Fleet], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run some devices, and the viewers of their rooms."""
    stack = AsyncExitStack()

    async def begin() -> Fleet:
        folder = tmp_path_factory.mktemp("fleet")
        made = await stack.enter_async_context(fleet(ground.network, [ground.server], folder))
        fleets.append(made)
        await made.start()
        return made

    try:
        made = ground.run(begin())
        yield made
        ground.table.record(
            "the viewers' own share in all of these: from the server's answer to being in the room",
            {"times": len(made.joined_after.seconds), "video again": made.joined_after},
            must="",
            ok=True,
        )
    finally:
        ground.run(stack.aclose())


@pytest.fixture(scope="session")
def side_by_side(
    request: pytest.FixtureRequest, ground: Ground, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SideBySide]:
    """Run the scenarios of all selected tests with this mark, at the same time."""
    marks = (item.get_closest_marker("side_by_side") for item in request.session.items)
    scenarios = [Kept(*mark.args, **mark.kwargs) for mark in marks if mark]
    running = SideBySide(ground, tmp_path_factory.mktemp("side-by-side"), scenarios)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def mended(network: Network) -> Iterator[None]:
    """Remove every fault after each row."""
    yield
    network.mend()


@pytest.fixture(scope="session")
def ground(runner: asyncio.Runner, network: Network, main_server: Node) -> Ground:
    return Ground(runner=runner, network=network, server=main_server, table=TABLE, meter=IdleMeter())


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "side_by_side(scenario): what the test waits for")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that run at the same time last, because no other measurement may run then."""
    items.sort(key=lambda item: item.get_closest_marker("side_by_side") is not None)


def pytest_report_header() -> list[str]:
    return plan.lines()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    plan.took(report.nodeid, report.duration)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    TABLE.print(terminalreporter)
    terminalreporter.write_line("")
    for line in plan.lines():
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"in all {time.monotonic() - _BEGAN:.0f} s; {Path(TABLE.file).name or 'no file'}")
