"""Tone mapping of HDR to SDR as a colour look-up table. Pure.

The filters for this differ between FFmpeg's builds (PyAV's wheels have no zscale); a table works with each, and costs
the same for each picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.float64]  # shape (n, 3): red, green, blue

LEVEL = 6  # of the Hald image: a cube of 36 values in each direction
BITS = 10
PQ, HLG = 16, 18  # ITU-T H.273
_PQ_PEAK_NITS, _HLG_PEAK_NITS = 10_000.0, 1000.0
_WHITE_NITS = 203.0  # of HDR graphics and of a white sheet: ITU-R BT.2408
_PEAK = 1000.0 / _WHITE_NITS  # brighter parts are white; what most films and all phones use at most
# Below this part of white nothing changes; above, highlights are compressed up to the peak.
_KNEE = 0.5
_SDR_GAMMA = 2.2  # of the displays on which a browser shows SDR
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593])
_BT2020_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def hald_image(transfer: int) -> npt.NDArray[np.uint16]:
    """Return the table for a transfer function, as haldclut reads it: shape (lines, columns, 3), RGB of 10 bits."""
    size = LEVEL * LEVEL
    steps = np.arange(size) / (size - 1)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red changes fastest
    mapped = to_sdr(np.stack((red, green, blue), axis=-1).reshape(-1, 3), transfer)
    side = LEVEL**3
    return np.round(mapped * ((1 << BITS) - 1)).astype(np.uint16).reshape(side, side, 3)


def to_sdr(coded: Colours, transfer: int) -> Colours:
    """Return BT.709 colours, 0 to 1, for BT.2020 colours in PQ or HLG, 0 to 1."""
    light = (_light_of_pq(coded) if transfer == PQ else _light_of_hlg(coded)) / _WHITE_NITS
    brightest = light.max(axis=1, keepdims=True)
    light = light * _compressed(brightest) / np.maximum(brightest, 1e-9)  # all three alike, which keeps the hue
    return np.asarray(np.clip(light @ _BT2020_TO_BT709.T, 0.0, 1.0) ** (1 / _SDR_GAMMA))


def _compressed(light: Colours) -> Colours:
    """Return light, where 1 is SDR's white: Reinhard's curve from the knee to the peak."""
    above = np.maximum(np.minimum(light, _PEAK) - _KNEE, 0.0) / (1 - _KNEE)
    peak = (_PEAK - _KNEE) / (1 - _KNEE)
    return np.asarray(np.minimum(light, _KNEE) + (1 - _KNEE) * above * (1 + above / peak**2) / (1 + above))


def _light_of_pq(coded: Colours) -> Colours:
    """Return nits: SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = np.maximum(coded, 0.0) ** (1 / m2)
    return np.asarray(_PQ_PEAK_NITS * (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1))


def _light_of_hlg(coded: Colours) -> Colours:
    """Return nits on a display of 1000: ITU-R BT.2100."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)  # noqa: PLR2004 - of the standard
    luma = scene @ _BT2020_LUMA
    return np.asarray(_HLG_PEAK_NITS * scene * np.maximum(luma, 1e-9)[:, np.newaxis] ** 0.2)
