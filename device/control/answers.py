"""How a result is sent to a participant: in the RPC answer, or beside it as a byte stream."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from device.control.results import attachment, plain

MAX_ANSWER_BYTES: Final = 15 << 10  # of an RPC answer, in LiveKit's SDKs
TOPIC: Final = "device.answer"
_JSON, _PICTURE = "application/json", "image/jpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteStream:
    """What does not fit into an answer. `id` is the stream's, which the answer names."""

    id: str
    data: bytes = field(repr=False)
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The text of an RPC answer, and the byte stream that belongs to it."""

    text: str = field(repr=False)
    stream: ByteStream | None = None


def answer_of(result: object) -> Answer:
    """Return the answer for a result, which is a dataclass."""
    values = plain(result)
    if picture := attachment(result):
        return _beside(values, picture, _PICTURE)
    text = json.dumps(values, ensure_ascii=False)
    if len(data := text.encode()) <= MAX_ANSWER_BYTES:
        return Answer(text=text)
    return _beside({}, data, _JSON)


def _beside(values: dict[str, Any], data: bytes, mime_type: str) -> Answer:
    stream = ByteStream(id=secrets.token_hex(8), data=data, type=mime_type)
    return Answer(text=json.dumps(values | {"stream": stream.id, "bytes": len(data), "type": mime_type}), stream=stream)
