"""What the schema says about a key beside its type: what a change of it needs, if it is secret, who may change it.

A mark stands in the key's annotation: `fps: Annotated[int, WORKER_RESTART, REMOTE]`. Each key has one change class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final


class ChangeClass(Enum):
    """What a running daemon has to do for a new value of a key, from the least to the most."""

    LIVE = "live"
    WORKER_RESTART = "worker restart"
    REJOIN = "rejoin"
    PROCESS_RESTART = "process restart"


class Secrecy(Enum):
    """Whether a text may contain a secret. `SecretStr` is always one."""

    SECRET = "secret"  # noqa: S105 - a mark


class Reach(Enum):
    """Whether a key may be changed by `set`. Never a credential, a source, a path or a program."""

    REMOTE = "remote"


LIVE: Final = ChangeClass.LIVE
WORKER_RESTART: Final = ChangeClass.WORKER_RESTART
REJOIN: Final = ChangeClass.REJOIN
PROCESS_RESTART: Final = ChangeClass.PROCESS_RESTART
SECRET: Final = Secrecy.SECRET
REMOTE: Final = Reach.REMOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the schema says about a key, for a process without the schema. `default` is None if the key is required."""

    needs: ChangeClass
    secret: bool
    remote: bool
    default: object = field(repr=False)
