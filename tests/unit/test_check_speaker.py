"""The tone that `check` plays, in real workers with a stand-in for the sound card; and what `devices` lists."""

from __future__ import annotations

import asyncio
import io
import json
import os
from typing import TYPE_CHECKING

import pytest

from device.check import speaker
from device.check.report import Report
from device.privacy import NAME as PRIVACY
from tests.support.commands import command
from tests.support.configs import config_of
from tests.support.sound_card import SoundCard

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoundCard:
    found = SoundCard(tmp_path)
    for name, value in found.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return found


def row(*, source: str = "pyaudio", microphone: str = "pyaudio", **service: object) -> tuple[str, bool]:
    """Return the row, and whether it is a failure."""
    config = config_of(
        {
            "room": {"url": "ws://h", "name": "lab"},
            "speaker": {"source": source},
            "microphone": {"source": microphone},
        }
    )
    report = Report(stream=io.StringIO())
    asyncio.run(speaker.check(report, config, dict(service)))
    assert isinstance(report.stream, io.StringIO)
    return report.stream.getvalue(), report.failed


def test_a_tone_is_heard_with_its_level(card: SoundCard) -> None:
    (card.folder / "microphone").write_text("-11")
    text, failed = row()
    assert not failed
    assert text.startswith("✓ speaker        Stand-in: speaker: a tone was heard at -23 dB, the noise is at -")
    assert "(Stand-in: microphone)" in text


def test_a_speaker_that_is_too_quiet_is_not_heard(card: SoundCard) -> None:
    (card.folder / "microphone").write_text("-90")
    text, failed = row()
    assert not failed  # it may be in another room
    assert text.startswith("! speaker        Stand-in: speaker: a tone was not heard, the noise is at -")
    assert "turn it up" in text


def test_without_a_microphone_of_this_device_the_speaker_is_opened_only(card: SoundCard) -> None:
    (card.folder / "microphone").write_text("-11")
    nobody = "✓ speaker        Stand-in: speaker plays; no microphone of this device can hear it\n"
    assert row(microphone="tone") == (nobody, False)
    (card.folder / PRIVACY).write_text("unreadable")  # then privacy is on for all
    assert row() == (nobody, False)


def test_a_speaker_that_cannot_be_opened_is_a_failure(card: SoundCard) -> None:
    (card.folder / "microphone").write_text("-11")
    card.switch("busy")
    text, failed = row()
    assert failed
    assert text.startswith("✗ speaker        speaker: speaker 'Stand-in: speaker' cannot be opened")


def test_while_the_service_runs_nothing_is_played(card: SoundCard) -> None:
    text, failed = row(pid=7, speaker="live")
    assert not failed
    assert "skipped: the running service (pid 7) uses it, its state is: live; stop the service to hear a tone" in text
    assert card.played() == []


def test_without_a_speaker_there_is_no_row() -> None:
    assert row(source="off") == ("", False)


def test_devices_lists_speakers(card: SoundCard) -> None:
    (card.folder / "microphone").write_text("0")
    found = json.loads(command("devices", "--json", variables=os.environ).stdout)
    assert [(each["name"], each["channels"], each["rate"], each["default"]) for each in found["speakers"]] == [
        ("Stand-in: speaker", 2, 48_000, True)
    ]
    assert [each["name"] for each in found["microphones"]] == ["Stand-in: microphone"]
