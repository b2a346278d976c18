"""Configures one output for all log lines: ours, the standard library's and the SDK's."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

import structlog

from device.redaction import without_secrets

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from structlog.typing import EventDict, Processor, WrappedLogger

    from device.log_memory import LogMemory

# sd-daemon(3): a line that begins with <N> gets syslog priority N in the journal.
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_FOREIGN_PREFIX, _ROOT = "sdk", "root"


class LogContext:
    """Fields on every log line of the process, in all tasks and threads."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def bind(self, **fields: str) -> None:
        self._fields |= {key: value for key, value in fields.items() if value}

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**self._fields, **event}


def configure(
    *,
    level: str,
    format: Literal["auto", "console", "json"],  # noqa: A002
    stream: TextIO | None = None,
    memory: LogMemory | None = None,
) -> LogContext:
    """Send the lines of all loggers to `stream`, by default standard error; return the context for common fields.

    The records go into `memory` as well.
    """
    context = LogContext()
    stream = stream or sys.stderr
    colours = stream.isatty() and not os.environ.get("NO_COLOR")
    console = format == "console" or (format == "auto" and stream.isatty())
    shared: list[Processor] = [
        context,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
    ]
    if console:
        render: Processor = structlog.dev.ConsoleRenderer(
            colors=colours, timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
        )
    else:
        render = _prefixed_line if is_journal(stream) else _line
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, _name_foreign],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,  # without local variables, which may contain secrets
            _redacting(render, memory),
        ],
    )
    handler = _Handler(stream)
    handler.addFilter(_is_wanted)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    # asyncio logs slow callbacks as warnings; its debug lines do not help an operator.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    set_level(level)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    return context


def set_level(level: str) -> None:
    """Log lines of this level and above: "debug", "info", "warning" or "error"."""
    logging.getLogger().setLevel(level.upper())
    # The SDK logs every signalling step at info, and a warning for each attempt within one join.
    logging.getLogger("livekit").setLevel(logging.DEBUG if level == "debug" else logging.ERROR)


def _is_wanted(record: logging.LogRecord) -> bool:
    """Leave out what the SDK logs without a logger of its own: each stream that any participant sends, at info."""
    return record.name != _ROOT or logging.getLogger("livekit").isEnabledFor(record.levelno)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines, without showing the text of a line that cannot be formatted."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Write that a line is missing; the base class would print its text without redaction."""
        kind = sys.exc_info()[0]
        with contextlib.suppress(Exception):
            self.stream.write(
                f"a log line of {record.name} could not be written: {kind.__name__ if kind else ''}{self.terminator}"
            )


def _redacting(render: Processor, memory: LogMemory | None) -> Processor:
    """Redact each text before it is rendered: a key, a set or the repr of an object may contain a token."""

    def rendered(logger: WrappedLogger, method: str, event: EventDict) -> str:
        clean = cast("EventDict", without_secrets(event))
        if memory is not None:
            memory.add(clean)
        return str(render(logger, method, clean))

    return rendered


def _name_foreign(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Convert lines of other packages: a static event name, and their text as a field."""
    record: logging.LogRecord = event["_record"]
    event["message"] = event["event"]
    event["logger"] = record.name
    event["event"] = f"{_FOREIGN_PREFIX if record.name.startswith('livekit') else record.name.partition('.')[0]}.log"
    return event


def is_journal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a stream is the journal's: $JOURNAL_STREAM has its device and inode (systemd.exec(5))."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or not a file
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def install_hooks() -> None:
    """Log exceptions that Python would print without redaction: uncaught ones, also in threads, and unraisable ones."""

    def uncaught(_type: type[BaseException], error: BaseException, _traceback: object) -> None:
        crashed(error)

    def in_thread(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_type is not SystemExit:
            name = failure.thread.name if failure.thread else ""
            structlog.get_logger().critical("daemon.unhandled", thread=name, exc_info=failure.exc_value)

    def unraisable(failure: sys.UnraisableHookArgs) -> None:
        where = failure.err_msg or f"in {getattr(failure.object, '__qualname__', type(failure.object).__name__)}"
        structlog.get_logger().error("daemon.unhandled", where=where, exc_info=failure.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def _line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return json.dumps(event, default=repr)


def _prefixed_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    priority = _PRIORITIES.get(event.get("level", "info"), _PRIORITIES["info"])
    return f"<{priority}>{_line(logger, method, event)}"


def crashed(error: BaseException) -> None:
    """Log an error that ends the process, or each error of a group."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            crashed(each)
        return
    structlog.get_logger().critical("daemon.failed", error=type(error).__name__, exc_info=error)


def unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio would report of a task or callback that nobody waits for."""
    where = str(context.get("task") or context.get("future") or context.get("handle") or "")
    error = context.get("exception")
    structlog.get_logger().error("daemon.unhandled", message=context.get("message"), where=where, exc_info=error)
