"""What every encoder can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from device.media.picture import Picture


class Encoder(Protocol):
    """Encodes pictures into a sink; called from one thread, though the sink may be called from another."""

    name: str

    def encode(self, picture: Picture, *, key: bool) -> None:
        """Encode one picture, as an IDR if `key`. Raises EncoderError."""
        ...

    def set_bitrate(self, bitrate_bps: int) -> None: ...
