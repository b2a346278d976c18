"""The names of all operations, which are a contract. `device.control.operations` has what they take and return."""

from __future__ import annotations

from typing import Final, Literal, get_args

OperationName = Literal[
    "config",
    "key_frame",
    "logs",
    "play",
    "privacy",
    "rejoin",
    "reload",
    "reset",
    "restart",
    "run",
    "set",
    "snapshot",
    "status",
]
OPERATION_NAMES: Final[tuple[str, ...]] = get_args(OperationName)
