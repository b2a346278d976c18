"""Logs what is written to this process's standard error: native libraries write there, and may write tokens."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from device.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STDERR = 2
_CHUNK = 4096
# The rest of a longer line is dropped: without its beginning a secret in it could not be recognised.
_MAX_LINE, _MAX_LOGGED = 16 << 10, 1000
_WINDOW_S, _MAX_LINES = 10.0, 50
# env_logger, as the SDK's library uses it: [2026-01-31T12:00:00Z ERROR livekit::room] text
_RECORD = re.compile(r"\[\S+ +(ERROR|WARN|INFO|DEBUG|TRACE) +(\S+?)\] (.*)")
_PANIC = " panicked at "
_LEVELS = {"ERROR": logging.ERROR, "WARN": logging.WARNING, "INFO": logging.INFO}


def relay(*, on_record: Callable[[str], None] = lambda _text: None) -> TextIO:
    """Log all that is written to file descriptor 2 from now on; return a stream to where it led before.

    The log itself must use that stream. `on_record` gets each log record of the SDK, in another thread. What a library
    writes just before it aborts the process may be lost.
    """
    sys.stderr.flush()
    before = os.fdopen(os.dup(_STDERR), "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)
    reader, writer = os.pipe()
    os.dup2(writer, _STDERR)
    os.close(writer)
    threading.Thread(target=_log_lines, args=(reader, on_record), name="native-output", daemon=True).start()
    return before


def _log_lines(reader: int, on_record: Callable[[str], None] = lambda _text: None) -> None:
    window_ends, logged, dropped, panicked = 0.0, 0, 0, False
    for line in _lines(reader):
        panicked = panicked or _PANIC in line  # the text of a panic follows; it ends the process
        now = time.monotonic()
        if now >= window_ends:
            if dropped:
                logging.getLogger("stderr").warning("%d more lines in %.0f s", dropped, _WINDOW_S)
            window_ends, logged, dropped = now + _WINDOW_S, 0, 0
        if record := _RECORD.fullmatch(line):
            on_record(record[3])
        if logged >= _MAX_LINES:
            dropped += 1
        elif _log(line, logging.CRITICAL if panicked else logging.WARNING):
            logged += 1


def _lines(reader: int) -> Iterator[str]:
    pending = bytearray()
    while data := os.read(reader, _CHUNK):
        *ended, rest = data.split(b"\n")
        for each in ended:
            pending += each
            if text := pending[:_MAX_LINE].decode(errors="replace").strip():
                yield text
            pending.clear()
        pending += rest[: max(0, _MAX_LINE - len(pending))]


def _log(line: str, level: int) -> bool:
    """Log a line; return whether the log's level lets it through."""
    logger, text = logging.getLogger("stderr"), line
    if found := _RECORD.fullmatch(line):
        level = _LEVELS.get(found[1], logging.DEBUG)
        logger, text = logging.getLogger("livekit"), f"{found[2]} - {found[3]}"
    logger.log(level, "%s", redacted(text)[:_MAX_LOGGED])
    return logger.isEnabledFor(level)
