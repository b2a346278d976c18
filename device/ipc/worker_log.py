"""Logs what a worker reports: its own lines, and what it captures. All of it is untrusted input."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from device.ipc import untrusted
from device.redaction import public_text

if TYPE_CHECKING:
    from device.ipc.messages import Capturing, LogRecord

log = structlog.get_logger()

_LEVELS = frozenset({"debug", "info", "warning", "error"})


def record(name: str, line: LogRecord) -> None:
    """Log a line of the worker with this name."""
    write = getattr(log, line.level if line.level in _LEVELS else "info")
    write(public_text(line.event) or "worker.log", worker=name, **untrusted.safe_fields(line.fields))


def capturing(name: str, what: Capturing, *, before: Capturing | None) -> None:
    """Log what a worker captures; at debug level if only size or rate have changed, which starts another encoder."""
    again = before is not None and _source_of(before) == _source_of(what)
    fields = untrusted.safe_fields({key: value for key, value in asdict(what).items() if value and key != "controls"})
    (log.debug if again else log.info)("worker.capturing", worker=name, **fields)


def _source_of(what: Capturing) -> tuple[str, str, str]:
    return what.source, what.device, what.encoder
