"""What is on the control socket: one JSON object in a line for a call, and one for its answer.

If the result has "bytes", so many bytes follow the line of the answer, such as those of a picture.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from device.control.results import attachment, plain
from device.errors import CallError

MAX_ANSWER_BYTES = 4 << 20
MAX_ATTACHMENT_BYTES = 8 << 20
_UNREADABLE = "the daemon's answer cannot be read; is it of another version?"


def call_of_line(line: bytes) -> tuple[object, object]:
    """Return the name of an operation and its arguments, both unchecked. Raises CallError."""
    value = _json(line, "call")
    if not isinstance(value, dict) or "operation" not in value or value.keys() - {"operation", "arguments"}:
        raise CallError('a call is an object with "operation" and "arguments"')
    return value["operation"], value.get("arguments", {})


def arguments_of(payload: str) -> object:
    """Return the arguments in the payload of an RPC call, unchecked; an empty one has none. Raises CallError."""
    return _json(payload, "payload") if payload.strip() else {}


def answer_line(result: object) -> bytes:
    """Return the line for a result, which is a dataclass, and the bytes that follow it."""
    return _line({"result": plain(result)}) + attachment(result)


def error_line(error: CallError) -> bytes:
    return _line({"error": str(error)})


def result_of_line(line: bytes) -> dict[str, Any]:
    """Return the result in an answer. Raises CallError with the daemon's text."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise CallError(_UNREADABLE) from None
    if isinstance(value, dict) and isinstance(value.get("result"), dict):
        return dict(value["result"])
    error = value.get("error") if isinstance(value, dict) else None
    raise CallError(str(error or _UNREADABLE))


def bytes_after(result: dict[str, Any]) -> int:
    """Return how many bytes follow the line of a result. Raises CallError if that cannot be."""
    count = result.get("bytes", 0)
    if type(count) is not int or not 0 <= count <= MAX_ATTACHMENT_BYTES:
        raise CallError(_UNREADABLE)
    return count


def _json(text: str | bytes, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise CallError(f"the {what} is not JSON in UTF-8") from None


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not in JSON")


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
