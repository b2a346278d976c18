"""`x264_preset = "auto"`: encodes with the preset that the processor has time for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from device.encoders.x264_presets import PresetPolicy

if TYPE_CHECKING:
    from device.encoders.x264 import X264Encoder
    from device.ipc.worker_link import WorkerLink
    from device.media.picture import Picture


class AutomaticPreset:
    """Measures each picture's encoding, and changes the encoder's preset with the next picture."""

    def __init__(self, link: WorkerLink) -> None:
        self._link, self._policy = link, PresetPolicy()

    @property
    def preset(self) -> str:
        return self._policy.preset

    def encode(self, encoder: X264Encoder, picture: Picture, *, key: bool, fps: float, missed: int) -> None:
        """Encode one picture. Raises EncoderError."""
        began_s, ran_before_s = time.monotonic(), time.thread_time()
        encoder.encode(picture, key=key)
        now_s, ran_s = time.monotonic(), time.thread_time() - ran_before_s
        preset = self._policy.update(now_s, took_s=now_s - began_s, ran_s=ran_s, period_s=1 / fps, missed=missed)
        if preset != encoder.preset:
            encoder.set_preset(preset)
            self._link.log("info", "camera.x264_preset", preset=preset)
