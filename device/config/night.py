"""The table [camera.night]."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from device.config.marks import LIVE, REMOTE, WORKER_RESTART
from device.config.table import ControlValue, Table


class Night(Table):
    """What changes in the dark: lux by libcamera's estimate, else the mean luma of the picture, 0 to 255."""

    enabled: Annotated[bool, WORKER_RESTART, REMOTE] = False
    below_lux: Annotated[float, LIVE, REMOTE] = Field(default=5.0, ge=0, le=100_000)
    above_lux: Annotated[float, LIVE, REMOTE] = Field(default=20.0, ge=0, le=100_000)
    below_luma: Annotated[float, LIVE, REMOTE] = Field(default=30.0, ge=0, le=255)
    above_luma: Annotated[float, LIVE, REMOTE] = Field(default=90.0, ge=0, le=255)
    hold_s: Annotated[float, LIVE, REMOTE] = Field(default=10.0, ge=1, le=3600)
    min_s: Annotated[float, LIVE, REMOTE] = Field(default=60.0, ge=1, le=86_400)
    fps: Annotated[int, LIVE, REMOTE] = Field(default=0, ge=0, le=120)
    controls: Annotated[dict[str, ControlValue], LIVE, REMOTE] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for unit in ("lux", "luma"):
            below, above = getattr(self, f"below_{unit}"), getattr(self, f"above_{unit}")
            if below >= above:
                raise ValueError(
                    f"below_{unit} ({below:g}) is not below above_{unit} ({above:g}); day and night would alternate"
                )
        if self.enabled and not self.fps and not self.controls:
            raise ValueError("enabled without fps and without controls; nothing would change at night")
        return self
