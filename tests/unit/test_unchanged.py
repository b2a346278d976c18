"""Silence and frozen pictures: reported once, and once at their end. Virtual time, fake devices, the workers' code."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.ipc.messages import MicrophoneJob
from device.media.block import Block
from device.media.picture import FramePicture
from device.sources.planes import writable
from device.workers import freeze_detector, microphone
from device.workers.unchanged import UnchangedDetector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.ipc.framing import Received

JOB = MicrophoneJob(source="pyaudio", device="", path="", channels=1, gain_db=0, epoch_us=0)
BLOCK_S = 0.02
QUIET, LOUD = bytes(1920), bytes(1919) + b"\1"


@dataclass(slots=True)
class WorkerLink:
    """A stand-in for the worker's link, which also has the clock."""

    now: float = 1000.0
    notices: list[tuple[float, str]] = field(default_factory=list)
    blocks: int = 0

    def monotonic(self) -> float:
        return self.now

    def degraded(self, text: str) -> None:
        self.notices.append((round(self.now - 1000, 2), text))

    def block(self, _samples: bytes, *, captured_at_us: int) -> None:
        assert captured_at_us
        self.blocks += 1

    def requests(self) -> list[Received]:
        return []


def test_it_is_reported_once_at_the_limit_and_once_at_the_end() -> None:
    stillness = UnchangedDetector(limit_s=10)
    looks = [(float(second), stillness.update(second, same=5 <= second <= 20)) for second in range(30)]
    assert [look for look in looks if look[1] is not None] == [(15, True), (21, False)]


def test_a_change_restarts_the_wait_and_reports_nothing() -> None:
    stillness = UnchangedDetector(limit_s=10)
    assert [stillness.update(second, same=second % 9 != 0) for second in range(100)] == [None] * 100


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=80), st.floats(0.5, 60))
def test_each_change_of_state_is_reported_exactly_once(looks: list[tuple[float, bool]], limit_s: float) -> None:
    stillness, now, same_since, told = UnchangedDetector(limit_s=limit_s), 0.0, None, False
    for pause_s, same in looks:
        now += pause_s
        same_since = (now if same_since is None else same_since) if same else None
        still = same_since is not None and now - same_since >= limit_s
        assert stillness.update(now, same=same) == (None if still == told else still)
        told = still


def _listen(monkeypatch: pytest.MonkeyPatch, *parts: tuple[float, bytes]) -> WorkerLink:
    """Run the microphone worker with these seconds of each kind of block, in virtual time."""
    link = WorkerLink()

    def blocks() -> Iterator[Block]:
        for seconds, samples in parts:
            for _ in range(round(seconds / BLOCK_S)):
                link.now += BLOCK_S
                yield Block(samples=samples, captured_at_us=1)

    monkeypatch.setattr(microphone, "open_source", lambda _job, _link: SimpleNamespace(blocks=blocks))
    monkeypatch.setattr(microphone, "time", link)
    microphone._deliver(link, JOB)  # type: ignore[arg-type]
    return link


def test_a_microphone_with_only_zeros_is_reported_after_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    link = _listen(monkeypatch, (1, LOUD), (30, QUIET), (1, LOUD), (9.9, QUIET), (0.02, LOUD), (11, QUIET))
    assert [text for _, text in link.notices] == ["nothing but zeros for 10 s", "", "nothing but zeros for 10 s"]
    assert [at for at, _ in link.notices] == pytest.approx([11.02, 31.02, 51.94], abs=0.03)
    assert link.blocks == round(52.92 / BLOCK_S)  # reported, but the worker continues


def test_one_bit_of_noise_in_each_block_is_not_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _listen(monkeypatch, (60, LOUD)).notices == []


class Sensor:
    """Pictures whose rows end in padding that changes each time, like real buffers."""

    def __init__(self, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.link = WorkerLink()
        monkeypatch.setattr(freeze_detector, "time", self.link)
        self.freeze_detector = freeze_detector.FreezeDetector(self.link)  # type: ignore[arg-type]
        self._width = width
        self._chance = np.random.default_rng(5)

    def run(self, seconds: float, luma: int, *, noisy: bool = False) -> None:
        for _ in range(round(seconds * 10)):
            self.link.now += 0.1
            self.freeze_detector.check(FramePicture(frame=self._frame(luma, noisy=noisy), number=0, captured_at_us=0))

    def _frame(self, luma: int, *, noisy: bool) -> av.VideoFrame:
        frame = av.VideoFrame(self._width, 120, "yuv420p")
        plane = frame.planes[0]
        plane.update(self._chance.integers(0, 255, plane.buffer_size, np.uint8).tobytes())
        rows = writable(frame)[0]
        rows[:] = luma
        if noisy:
            rows[60, 80] = self._chance.integers(0, 255)
        return frame


@pytest.mark.parametrize("width", (160, 162, 640, 648))
@pytest.mark.parametrize("luma", (0, 16, 128))
def test_a_frozen_picture_is_reported_after_half_a_minute(
    width: int, luma: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = Sensor(width, monkeypatch)
    sensor.run(3, 200, noisy=True)
    sensor.run(60, luma)
    sensor.run(3, 200, noisy=True)
    assert [text for _, text in sensor.link.notices] == ["the picture has not changed by a bit for 30 s", ""]
    assert [at for at, _ in sensor.link.notices] == pytest.approx([34.5, 64], abs=1.5)


def test_a_dark_picture_with_noise_is_not_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = Sensor(162, monkeypatch)
    sensor.run(90, 16, noisy=True)
    assert sensor.link.notices == []
