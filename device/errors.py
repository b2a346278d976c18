"""The exceptions of this package. Each type says whether trying again can help, and how the process ends."""

from __future__ import annotations

import enum
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
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL
    retry: ClassVar[bool] = False


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

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class CredentialError(DeviceError):
    """No usable token could be had this time; the next attempt asks again."""

    retry = True


class JoinError(DeviceError):
    """The room could not be joined, or nothing could be published in it."""

    retry = True


class UnreachableError(DeviceError):
    """The server, or its name, does not answer."""

    retry = True


class NativePanicError(DeviceError):
    """The SDK's native library has panicked: nothing of it is to be trusted any more."""


class StuckJoinError(DeviceError):
    """A join hangs although the server is well. It cannot be cancelled: only a new process may try another."""

    exit_code = ExitCode.TEMPORARY


class SourceError(DeviceError):
    """A camera, microphone or file cannot be read. The text says what to look at."""

    retry = True


class SourceAbsentError(SourceError):
    """There is no such camera or microphone now; it may be plugged in."""


class EncoderError(DeviceError):
    """Pictures cannot be encoded."""

    retry = True


class WireError(DeviceError):
    """What came over a worker's socket is not what a worker sends."""

    retry = True
