"""Asks a running daemon over its control socket."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from device.control.decoding import as_request
from device.control.place import places
from device.control.wire import MAX_ANSWER_BYTES, bytes_after, result_of_line
from device.errors import CallError, NotRunningError, system_text

if TYPE_CHECKING:
    from pathlib import Path

    from device.control.registry import Call

_CONNECT_S, _ANSWER_S = 5.0, 45.0
_CLOSED = "the daemon has closed the connection; it may be ending"


def ask(call: Call[Any]) -> dict[str, Any]:
    """Return the result as JSON has it. Raises NotRunningError, or CallError with the daemon's text."""
    return ask_for_bytes(call)[0]


def ask_for_bytes(call: Call[Any]) -> tuple[dict[str, Any], bytes]:
    """Return the result as JSON has it, and the bytes that follow it. Raises as `ask` does."""
    with _connected() as connection:
        try:
            connection.settimeout(_ANSWER_S)
            connection.sendall(json.dumps(as_request(call)).encode() + b"\n")
            with connection.makefile("rb") as answer:
                if not (line := answer.readline(MAX_ANSWER_BYTES)):
                    raise CallError(_CLOSED)
                result = result_of_line(line)
                data = answer.read(count := bytes_after(result))
        except TimeoutError:
            raise CallError(f"the daemon does not answer within {_ANSWER_S:g} s") from None
        except OSError as error:
            raise CallError(f"the connection to the daemon broke: {system_text(error)}") from None
    if len(data) < count:
        raise CallError(_CLOSED)
    return result, data


def _connected() -> socket.socket:
    closed: Path | None = None
    for path in places():
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_CONNECT_S)
        try:
            connection.connect(str(path))
        except PermissionError:
            closed = path
        except (OSError, ValueError):
            pass
        else:
            return connection
        connection.close()
    if closed is not None:
        raise CallError(f"{closed}: only root and the group livekit-device may control the device; use sudo")
    raise NotRunningError("livekit-device is not running: nothing listens on its control socket")
