"""The exceptions of this package. Each type says whether a retry can help, and with which code the process exits."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """Exit codes; those from 64 on are from BSD's sysexits.h."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3  # as `systemctl status` has it
    INTERNAL = 70
    TEMPORARY = 75  # the service manager restarts the process
    CONFIG = 78


class DeviceError(Exception):
    """Base of the expected errors of this package.

    The message is for operators: the log and `check`. `for_viewers` is public: attributes, slate, status line and state
    file. It is a fixed text of this package, without a path, a URL or the text of a library's exception.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL
    retry: ClassVar[bool] = False
    public: ClassVar[str] = "an internal error"

    def __init__(self, message: str = "", *, for_viewers: str = "") -> None:
        super().__init__(message)
        self.for_viewers = for_viewers or self.public


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in the configuration: its place, and a text with what is wrong and what is allowed."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ConfigError(DeviceError):
    """The configuration is invalid, and a restart does not help. Has every problem found."""

    exit_code = ExitCode.CONFIG
    public = "the configuration is invalid"

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class CredentialError(DeviceError):
    """There is no usable token now; the next attempt requests one again."""

    retry = True
    public = "no usable token"


class TokenMismatchError(CredentialError):
    """A token is for another room or identity than the configured one."""

    public = "the token does not match the configuration"


class JoinError(DeviceError):
    """The room could not be joined, or nothing could be published in it."""

    retry = True
    public = "the room cannot be joined"


class UnreachableError(DeviceError):
    """The server does not answer, or its name does not resolve."""

    retry = True
    public = "the server cannot be reached"


class InternalError(DeviceError):
    """A part of the daemon fails repeatedly: only a new process can help."""


class NativePanicError(DeviceError):
    """The SDK's native library has panicked, and its state is unreliable."""

    public = "the SDK failed"


class StuckJoinError(DeviceError):
    """A join hangs although the server answers. It cannot be cancelled: only a new process can join."""

    exit_code = ExitCode.TEMPORARY
    public = "a join does not finish"


class WorkerRequestError(DeviceError):
    """A worker did not carry out a request, or did not answer in time."""

    retry = True
    public = "the worker does not answer"


class RequestRefusedError(WorkerRequestError):
    """A worker refuses a request. The text is the worker's reason."""

    retry = False


class CallError(DeviceError):
    """An operation cannot be carried out as it was asked for. The text is for the caller."""


class BusyError(CallError):
    """It cannot be carried out now, because others are; a moment later it can."""


class NotRunningError(DeviceError):
    """A command asks a running daemon, and there is none."""

    exit_code = ExitCode.NOT_RUNNING


class SourceError(DeviceError):
    """A camera, microphone or file cannot be read. The text says what to check."""

    retry = True
    public = "the source cannot be read"


class SourceAbsentError(SourceError):
    """There is no such camera or microphone now; it may be connected later."""

    public = "the device is not connected"


class NotPresentError(SourceAbsentError):
    """No device of this kind is connected at all, and the configuration names none (`source = "auto"`)."""


class EncoderError(DeviceError):
    """Pictures cannot be encoded."""

    retry = True
    public = "the encoder failed"


class WireError(DeviceError):
    """A message on a worker's socket is invalid."""

    retry = True
    public = "the worker sent an invalid message"


class ThreadFailedError(DeviceError):
    """A thread of a worker has ended with an unexpected exception."""

    retry = True
    public = "an internal error"


def system_text(error: BaseException) -> str:
    """Return the system's text for an errno, else the error's type; the error's own text may contain secrets."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) else type(error).__name__


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors in a nested group; for an error that is not a group, the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]
