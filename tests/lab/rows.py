"""Several rows of one test, each noted although another does not hold."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.conftest import Record


class Rows:
    """Notes rows; what does not hold is told at the end."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self.wrong: list[str] = []

    def note(self, what: str, measured: str, *, must: str, ok: object) -> None:
        try:
            self._record(what, measured, must=must, ok=ok)
        except AssertionError as error:
            self.wrong.append(str(error))


@contextmanager
def all_rows(record: Record) -> Iterator[Rows]:
    """Fail on leaving if a row did not hold."""
    rows = Rows(record)
    yield rows
    assert not rows.wrong, "\n".join(rows.wrong)
