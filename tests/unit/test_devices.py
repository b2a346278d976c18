"""`livekit-device devices`: errors of drivers and names of devices are shown safely."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from device import devices
from device.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable


def raising(error: Exception) -> Callable[[], list[dict[str, Any]]]:
    def ask() -> list[dict[str, Any]]:
        raise error

    return ask


@pytest.mark.parametrize(
    ("error", "said"),
    (
        (SourceError("rtsp://admin:hunter2@192.0.2.7: is away"), "rtsp://[redacted]@192.0.2.7: is away"),
        (SourceError(""), "the source cannot be read"),
        (OSError(19, "hunter2"), "the system failed: No such device"),
        (RuntimeError("api_secret=hunter2"), "the library failed (RuntimeError)"),
    ),
)
@pytest.mark.parametrize("as_json", (False, True))
def test_an_error_has_a_text_of_our_own(
    error: Exception,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    as_json: bool,
) -> None:
    monkeypatch.setattr(devices, "_cameras", raising(error))
    assert devices.run(as_json=as_json) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert json.loads(out)["cameras"] == said if as_json else f"cameras\n  none: {said}\n" in out


def test_control_characters_in_a_device_name_are_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices, "_cameras", lambda: [{"name": "cam\x1b[2J\n", "number": 0}])
    devices.run(as_json=False)
    assert "  cam?[2J?, number 0\n" in capsys.readouterr().out
