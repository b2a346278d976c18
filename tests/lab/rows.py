"""Several rows in one test, which are all recorded even if one does not hold."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.conftest import Record


class Rows:
    """Records rows; those that do not hold fail the test at the end."""

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
    """Fail at the end of the context if a row did not hold."""
    rows = Rows(record)
    yield rows
    assert not rows.wrong, "\n".join(rows.wrong)
