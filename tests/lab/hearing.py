"""Analysis of decoded sound: its tones, their purity, and waiting for them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tests.support.watcher import Heard, Watcher

RATE = 48_000
BLOCKS_PER_S = 100
WINDOW_BLOCKS = 20
PURE = 0.9  # share of the energy in the tone; below it the window has a gap or a discontinuity
BACK_S = 30
LATENESS_S = 0.1


def spectrum(blocks: Sequence[Heard], side: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    samples = np.concatenate([block.samples[:, side] for block in blocks]).astype(np.float64)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    return np.arange(len(power), dtype=np.float64) * RATE / len(samples), power.astype(np.float64)


def loudest_hz(blocks: Sequence[Heard], side: int) -> float:
    hz, power = spectrum(blocks, side)
    return float(hz[np.argmax(power)])


def purity(blocks: Sequence[Heard], tone_hz: float, side: int = 0) -> float:
    """Return the tone's share of the energy; 0 for silence."""
    hz, power = spectrum(blocks, side)
    return float(power[np.abs(hz - tone_hz) < 25].sum() / power.sum()) if power.sum() else 0.0


def lateness(blocks: Sequence[Heard], tone_hz: float, side: int = 0) -> npt.NDArray[np.float64]:
    """Return the delay of a steady tone relative to the start, for each LATENESS_S, from its phase, in seconds."""
    samples = np.concatenate([block.samples[:, side] for block in blocks]).astype(np.float64)
    turned = samples * np.exp(-2j * np.pi * tone_hz / RATE * np.arange(len(samples)))
    size = round(LATENESS_S * RATE)
    phases = np.unwrap(np.angle(turned[: len(turned) // size * size].reshape(-1, size).sum(axis=1)))
    later: npt.NDArray[np.float64] = (phases[0] - phases) / (2 * np.pi * tone_hz)
    return later


def windows(blocks: Sequence[Heard]) -> list[Sequence[Heard]]:
    return [blocks[at : at + WINDOW_BLOCKS] for at in range(0, len(blocks) - WINDOW_BLOCKS + 1, WINDOW_BLOCKS)]


async def hears(watcher: Watcher, tone_hz: float) -> None:
    """Wait until the latest fifth of a second is the tone."""

    def heard() -> bool:
        latest = list(watcher.sound)[-WINDOW_BLOCKS:]
        return len(latest) == WINDOW_BLOCKS and purity(latest, tone_hz) > PURE

    await watcher.until(heard, within_s=BACK_S, what=f"a tone of {tone_hz} Hz")


async def more(watcher: Watcher, seconds: float) -> list[Heard]:
    """Return the next sound."""
    begin = watcher.sound[-1]
    count = round(seconds * BLOCKS_PER_S)

    def since() -> list[Heard]:
        return [block for block in watcher.sound if block.at > begin.at]

    await watcher.until(lambda: len(since()) >= count, within_s=seconds * 2 + 10, what="sound")
    return since()
