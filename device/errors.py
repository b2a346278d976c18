"""The exceptions of this package. Each type says whether trying again can help, and how the process ends."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """Exit codes; those from 64 on are BSD's sysexits.h, which systemd knows by name."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERNAL = 70
    TEMPORARY = 75  # start me again
    CONFIG = 78


class DeviceError(Exception):
    """Base of every error that this package raises on purpose.

    The message is for operators: the log and `check`. `for_viewers` is for everybody in the room, and for local users:
    attributes, slate, status line and state file. It is composed of words of our own, never of a path, a URL or the
    text of a library's exception.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL
    retry: ClassVar[bool] = False
    public: ClassVar[str] = "an internal error"

    def __init__(self, message: str = "", *, for_viewers: str = "") -> None:
        super().__init__(message)
        self.for_viewers = for_viewers or self.public


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration: where it stands, what is wrong, and what is allowed."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ConfigError(DeviceError):
    """The configuration is wrong in a way that no restart mends. Holds every problem found."""

    exit_code = ExitCode.CONFIG
    public = "the configuration is invalid"

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class CredentialError(DeviceError):
    """No usable token could be had this time; the next attempt asks again."""

    retry = True
    public = "no usable token"


class TokenMismatchError(CredentialError):
    """A token is for another room or identity than the configuration names."""

    public = "the token does not fit the configuration"


class JoinError(DeviceError):
    """The room could not be joined, or nothing could be published in it."""

    retry = True
    public = "the room cannot be joined"


class UnreachableError(DeviceError):
    """The server, or its name, does not answer."""

    retry = True
    public = "the server cannot be reached"


class InternalError(DeviceError):
    """A part of the daemon fails again and again: only a new process may do better."""


class NativePanicError(DeviceError):
    """The SDK's native library has panicked: its state cannot be trusted any more."""

    public = "the SDK failed"


class StuckJoinError(DeviceError):
    """A join hangs although the server answers. It cannot be cancelled: only a new process may try another."""

    exit_code = ExitCode.TEMPORARY
    public = "a join does not finish"


class WorkerRequestError(DeviceError):
    """A worker did not carry out a request, or did not answer in time."""

    retry = True
    public = "the worker does not answer"


class SourceError(DeviceError):
    """A camera, microphone or file cannot be read. The text says what to look at."""

    retry = True
    public = "the source cannot be read"


class SourceAbsentError(SourceError):
    """There is no such camera or microphone now; it may be plugged in."""

    public = "the device is not connected"


class EncoderError(DeviceError):
    """Pictures cannot be encoded."""

    retry = True
    public = "the encoder failed"


class WireError(DeviceError):
    """What came over a worker's socket is not what a worker sends."""

    retry = True
    public = "the worker sent an invalid message"


class ThreadFailedError(DeviceError):
    """A thread of a worker has ended by an exception that nobody foresaw."""

    retry = True
    public = "an internal error"


def system_text(error: BaseException) -> str:
    """Return the system's words for an error number, else the error's type: any other text may hold anything."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) else type(error).__name__


def leaves(error: BaseException) -> list[BaseException]:
    """Return the single errors of a group, however deep; of an error that is no group, that."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]
