"""The interface of all encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading

    from device.media.picture import Picture


class Encoder(Protocol):
    """Encodes pictures into a sink. Its methods are called from one thread; it may call the sink from another."""

    name: str
    busy: int  # pictures left out because the encoder was busy

    def encode(self, picture: Picture, *, key: bool) -> None:
        """Encode one picture, as an IDR if `key`. Raises EncoderError."""
        ...

    def set_bitrate(self, bitrate_bps: int) -> None: ...

    def repeat(self, times: int) -> None:
        """Encode each picture so many times more, if the encoder can; the bitrate stays."""
        ...

    def owns(self, thread: threading.Thread) -> bool:
        """Return whether a thread belongs to the encoder, which reports that thread's failure itself."""
        ...

    def close(self) -> None:
        """Free the encoder's device within a bounded time; no unit reaches the sink after that."""
        ...
