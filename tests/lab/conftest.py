"""One machine for all lab tests, with the shipped package, its unit and stand-in hardware.

Each test records its measurements. The rows are printed as a table at the end, and written to a file if LAB_TABLE names
one.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.lab import equipment
from tests.lab.machine import Machine
from tests.lab.microphone import Microphones
from tests.lab.service import Service
from tests.support.livekit_server import Server
from tests.support.livekit_server import livekit_server as running_server
from tests.support.table import Table


@pytest.fixture(scope="session")
def bare_machine() -> Iterator[Machine]:
    """Boot a machine with the stand-ins for hardware, without the package."""
    with equipment.bare_machine() as booted:
        yield booted


@pytest.fixture(scope="session")
def microphones(bare_machine: Machine) -> Microphones:
    started = Microphones(bare_machine)
    started.start()
    return started


@pytest.fixture(scope="session")
def machine(bare_machine: Machine, microphones: Microphones) -> Machine:  # noqa: ARG001 - they run
    """Install the shipped package; the unit is neither enabled nor started."""
    equipment.install_daemon(bare_machine)
    return bare_machine


@pytest.fixture(scope="session")
def livekit_server() -> Iterator[Server]:
    """Run a server on the loopback interface, which the machine shares with the host."""
    with running_server(prefer=(0, 0)) as server:
        yield server


@pytest.fixture
def service(machine: Machine, livekit_server: Server) -> Iterator[Service]:
    """Return the shipped unit, stopped, without configuration and credentials; restore that at the end."""
    shipped = Service(machine, livekit_server)
    shipped.tidy()
    yield shipped
    shipped.tidy()


Record = Callable[..., None]
_TABLE = Table(
    title="the lab's table", columns=("what", "measured", "must hold", "ok"), file=os.environ.get("LAB_TABLE", "")
)


@pytest.fixture
def record() -> Record:
    """Return a function that adds a row to the table and asserts that it holds."""
    return _TABLE.record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _TABLE.print(terminalreporter)
