"""How a result is sent to a participant: in the RPC answer, or beside it as a byte stream."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Final

MAX_ANSWER_BYTES: Final = 15 << 10  # of an RPC answer, in LiveKit's SDKs
MAX_STREAM_BYTES: Final = 8 << 20
TOPIC: Final = "device.answer"
_JSON: Final = "application/json"


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
    assert is_dataclass(result)
    assert not isinstance(result, type)
    text = json.dumps(asdict(result), ensure_ascii=False)
    if len(data := text.encode()) <= MAX_ANSWER_BYTES:
        return Answer(text=text)
    return _beside({}, data, _JSON)


def _beside(values: dict[str, object], data: bytes, mime_type: str) -> Answer:
    stream = ByteStream(id=secrets.token_hex(8), data=data, type=mime_type)
    return Answer(text=json.dumps(values | {"stream": stream.id, "bytes": len(data), "type": mime_type}), stream=stream)
