"""Sound of a network stream: no sample waits for the next packet, lost ones are silence, its clock is corrected."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
import pytest

from device.media.block import SAMPLE_RATE
from device.sources.network_sound import NetworkSound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.media.block import Block
    from device.sources.network_input import NetworkInput

_PACKET_S, _BEGAN_US = 0.02, 10_000_000


class _Stream:
    """Packets of 20 ms at a camera's rate, whose clock is `ppm` too fast; those in `lost` do not arrive."""

    paced = False

    def __init__(self, *, rate: int, seconds: float, ppm: float = 0.0, lost: range = range(0)) -> None:
        count = round(rate * _PACKET_S)
        file = io.BytesIO()
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(np.full(round(seconds * rate), 1000, np.int16).tobytes())
        file.seek(0)
        self._container: Any = av.open(file, options={"max_size": str(2 * count)})
        self._ppm, self._lost, self.taken = ppm, lost, 0

    def packets(self) -> Iterator[tuple[av.Packet[Any], int]]:
        for number, packet in enumerate(self._container.demux(audio=0)):
            if packet.size and number not in self._lost:
                self.taken += 1
                yield packet, round(_BEGAN_US + number * _PACKET_S * 1e6 / (1 + self._ppm / 1e6))


def _sound(stream: _Stream) -> NetworkSound:
    return NetworkSound(cast("NetworkInput", stream), channels=1)


def _samples(blocks: list[Block]) -> int:
    return sum(len(block.samples) // 2 for block in blocks)


@pytest.mark.parametrize("rate", (8_000, 16_000, 44_100, 48_000))
def test_a_block_is_there_with_its_packet(rate: int) -> None:
    stream = _Stream(rate=rate, seconds=1)
    for number, block in enumerate(_sound(stream).blocks(), start=1):
        assert stream.taken == number  # no block waits for the next packet
        assert block.captured_at_us == pytest.approx(_BEGAN_US + (number - 1) * 20_000, abs=3_000)


def test_lost_packets_are_silence_and_what_follows_is_in_its_place() -> None:
    blocks = list(_sound(_Stream(rate=16_000, seconds=2, lost=range(40, 50))).blocks())
    whole = np.concatenate([np.frombuffer(block.samples, np.int16) for block in blocks])
    assert len(whole) == pytest.approx(2 * SAMPLE_RATE, abs=SAMPLE_RATE * 0.01)
    assert np.abs(whole[round(0.82 * SAMPLE_RATE) : round(0.98 * SAMPLE_RATE)]).max() < 50
    assert blocks[-1].captured_at_us == pytest.approx(_BEGAN_US + 1_980_000, abs=3_000)


def test_a_fast_clock_shows_in_the_capture_times() -> None:
    """The daemon compares them with the number of samples, and sets the pace by the difference."""
    blocks = list(_sound(_Stream(rate=16_000, seconds=60, ppm=1000)).blocks())
    lead_us = _BEGAN_US + _samples(blocks) * 1e6 / SAMPLE_RATE - blocks[-1].captured_at_us - 20_000
    assert lead_us == pytest.approx(60_000, abs=3_000)


def test_a_fast_clock_is_corrected_without_a_jump() -> None:
    sound = _sound(_Stream(rate=16_000, seconds=60, ppm=1000))
    sound.pace(1000)
    blocks = list(sound.blocks())
    assert _samples(blocks) == pytest.approx(60 * SAMPLE_RATE * (1 - 1000 / 1e6), abs=1_000)
    assert blocks[-1].captured_at_us == pytest.approx(_BEGAN_US + 60e6 * (1 - 1000 / 1e6), abs=25_000)
    steps = np.diff([block.captured_at_us for block in blocks])
    assert steps.min() > 0
    assert steps.max() < 45_000
