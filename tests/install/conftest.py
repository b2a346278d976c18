"""Fresh Debian machines, the packages, a server on the loopback that they share with the host, and a table.

The rows are printed at the end, and kept where INSTALL_TABLE names a file.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.install import packages
from tests.install.box import Box
from tests.install.packages import Package
from tests.install.recipes import BARE, with_dependencies
from tests.lab.root import built_root
from tests.support.livekit_server import Server
from tests.support.livekit_server import livekit_server as running_server
from tests.support.table import Table


@pytest.fixture(scope="session")
def livekit_server() -> Iterator[Server]:
    with running_server(prefer=(0, 0)) as server:
        yield server


@pytest.fixture(scope="session")
def package() -> Package:
    """Return what `make deb` has built."""
    return packages.present()


@pytest.fixture(scope="session")
def later() -> Iterator[Package]:
    """Build a package of the next version from the same sources."""
    with packages.later() as built:
        yield built


@pytest.fixture(scope="session")
def bare_root() -> Path:
    return built_root(BARE)


@pytest.fixture(scope="session")
def ready_root() -> Path:
    """Return the root of a machine that has all that the package depends on."""
    return built_root(with_dependencies())


@pytest.fixture
def box(ready_root: Path, package: Package) -> Iterator[Box]:
    """Boot a machine with the package's file in it, not installed yet."""
    with Box(ready_root, package.path) as booted:
        yield booted


@pytest.fixture
def installed(box: Box, package: Package) -> Box:
    """Return the machine with the package installed, and not set up."""
    box.type(f"apt install ./{package.path.name}")
    return box


Record = Callable[..., None]
_TABLE = Table(
    title="from package to picture",
    columns=("what", "measured", "must hold", "ok"),
    file=os.environ.get("INSTALL_TABLE", ""),
)


@pytest.fixture
def record() -> Record:
    """Return what notes a row of the table, and asserts that it holds."""
    return _TABLE.record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _TABLE.print(terminalreporter)
