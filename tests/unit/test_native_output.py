"""What native libraries write to standard error becomes log lines, without secrets."""

from __future__ import annotations

import json
import subprocess
import sys

import jwt

TOKEN = jwt.encode({"sub": "porch", "video": {"room": "front-door"}}, "k" * 32)
# The child's own standard error is what the parent reads; its log must not be read as a native library's.
PROGRAM = """
import os, threading
from device import log, native_output

log.configure(level={level!r}, format="json", stream=native_output.relay())
for text in {writes!r}:
    os.write(2, text.encode())
os.close(2)
for each in threading.enumerate():
    if each.name == "native-output":
        each.join()
"""


def relayed(*writes: str, level: str = "info") -> list[dict[str, str]]:
    """Return the log lines of a process in which a library writes these texts to descriptor 2."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level, writes=writes)],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    lines = (json.loads(text) for text in done.stderr.splitlines())
    return [{key: line[key] for key in ("event", "level", "message")} for line in lines]


def test_a_record_of_the_sdks_library_keeps_its_level_and_target() -> None:
    record = f"[2026-01-31T12:00:00Z {{}} livekit::room] refused: access_token={TOKEN}\n"
    assert relayed(record.format("ERROR"), record.format("WARN ")) == [
        {"event": "sdk.log", "level": "error", "message": "livekit::room - refused: access_token=[redacted]"}
    ]
    assert [line["level"] for line in relayed(record.format("WARN "), record.format("INFO "), level="debug")] == [
        "warning",
        "info",
    ]


def test_other_text_is_logged_line_by_line_however_it_is_written() -> None:
    lines = relayed("half a ", "line\n\nanother one\n", f"Authorization: Bearer {TOKEN}\n")
    assert [line["message"] for line in lines] == ["half a line", "another one", "Authorization: [redacted]"]
    assert {(line["event"], line["level"]) for line in lines} == {("stderr.log", "warning")}


def test_the_text_of_a_panic_is_critical() -> None:
    lines = relayed("\nthread 'tokio-rt-worker' (12) panicked at src/room.rs:1:2:\n", f"no {TOKEN}\n")
    assert [line["level"] for line in lines] == ["critical", "critical"]
    assert lines[1]["message"] == "no [redacted]"


def test_a_line_that_is_too_long_is_cut_and_no_piece_of_a_secret_is_left() -> None:
    """The secret begins before the end of what is kept, and ends behind it."""
    (line,) = relayed("x" * (16 << 10), "y" * 100 + "\n")
    assert line["message"] == "x" * 1000
    lines = relayed("x" * ((16 << 10) - 100), TOKEN, "\n", "next\n")
    assert [len(line["message"]) for line in lines] == [1000, 4]


def test_a_flood_is_counted() -> None:
    lines = relayed(*(f"line {number}\n" for number in range(500)))
    assert [line["message"] for line in lines] == [f"line {number}" for number in range(50)]
