"""Runs a program for a section, with limits. Output is redacted, then truncated: a part of a secret is secret, too."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from device.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_RAW_BYTES = 4 << 20
_MAX_CHARACTERS = 128 << 10
_CHUNK = 64 << 10


class SectionError(Exception):
    """A section has no text; the message explains why, and contains no secret."""


def output_of(*command: str, within_s: float, environment: Mapping[str, str] | None = None) -> str:
    """Return a program's output, with standard error, and its exit code if it failed.

    Raises SectionError if it cannot be started. A program that takes too long or writes too much is killed with its
    children; its output until then is returned.
    """
    try:
        process = subprocess.Popen(  # arguments from this package, in a list  # noqa: S603
            command,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise SectionError(f"{os.path.basename(command[0])} is not installed on this machine") from None  # noqa: PTH119
    except OSError as error:
        raise SectionError(f"{command[0]} cannot be started: {error.strerror}") from None
    assert process.stdout is not None
    why, code = "", None
    try:
        raw, why = _read(process.stdout.fileno(), until=time.monotonic() + within_s)
        code = None if why else _settle(process)
    finally:
        if code is None:  # not reaped yet, so its process group still exists
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
    text = bounded(raw.decode(errors="replace"), cut=bool(why))
    if why:
        return f"{text}\n[{why.format(within_s=within_s)}]"
    return text if not code else f"{text}\n[exit code {code}]"


def bounded(text: str, *, cut: bool = False) -> str:
    """Return the end of a text, without secrets. With `cut` the last line is incomplete, and is removed."""
    if cut:
        text = text.rpartition("\n")[0]
    text = redacted(printable(text)).strip("\n")
    if len(text) <= _MAX_CHARACTERS:
        return text
    return f"[the first {len(text) - _MAX_CHARACTERS} characters are left out]\n{text[-_MAX_CHARACTERS:]}"


def printable(text: str) -> str:
    """Return a text without control characters, which could change the reader's terminal."""
    return "".join(each if each.isprintable() or each in "\n\t" else "?" for each in text.replace("\r\n", "\n"))


def _read(descriptor: int, *, until: float) -> tuple[bytes, str]:
    """Return the output, and why it is incomplete; empty if it is complete."""
    raw = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while (left_s := until - time.monotonic()) > 0:
            if not selector.select(left_s):
                break
            data = os.read(descriptor, _CHUNK)
            if not data:
                return bytes(raw), ""
            raw += data
            if len(raw) >= _MAX_RAW_BYTES:
                return bytes(raw), "the output was too long; the program was killed"
    return bytes(raw), "it took longer than {within_s:.0f} s; the program was killed"


def _settle(process: subprocess.Popen[bytes]) -> int | None:
    """Wait shortly for a program that has closed its output."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(1.0)
    return None
