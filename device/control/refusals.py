"""Why a call from the room is not answered with a result: a code and a plain text, which are the RPC error."""

from __future__ import annotations

import enum
from typing import Final

from device.printable import printable

_MAX_BYTES: Final = 256  # of the text of an RPC error, in LiveKit's SDKs


class Code(enum.IntEnum):
    """The codes of RPC errors. Those from 1001 to 1999 are the SDK's own."""

    MALFORMED = 400
    FORBIDDEN = 403
    REFUSED = 409
    TOO_LARGE = 413
    TOO_MANY = 429
    FAILED = 500
    LEAVING = 503
    TOO_SLOW = 504


class RefusedError(Exception):
    """A call is not carried out, or not to its end. The text is for the caller."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(printable(text).encode()[:_MAX_BYTES].decode(errors="ignore"))
        self.code = code
