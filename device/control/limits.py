"""Bounds of what callers may ask for."""

from __future__ import annotations

from typing import Final

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
MAX_LOG_LINES: Final = 300
MAX_CALL_BYTES: Final = 64 << 10
MAX_SET_KEYS: Final = 64
MAX_PAYLOAD_BYTES: Final = 15 << 10  # of an RPC call, in LiveKit's SDKs
CALL_S: Final = 30.0
WIDTHS: Final = (16, 16384)
"""How narrow and how wide a snapshot may be asked for, in pixels."""
QUALITIES: Final = (1, 100)
USUAL_QUALITY: Final = 85
