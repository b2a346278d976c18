"""The table [metrics]: how the device is measured from outside. All of it is off by default."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from device.config.marks import PROCESS_RESTART
from device.config.table import Table
from device.config.values import FilePath  # noqa: TC001 - pydantic reads the annotations

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+]|[a-zA-Z0-9.-]+):(\d{1,5})")
_MAX_PORT = 65535
_SUFFIX = ".prom"


def _bind(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if value and (found is None or not 1 <= int(found[2]) <= _MAX_PORT):
        raise ValueError("must be empty or HOST:PORT, such as 127.0.0.1:9478 or [::1]:9478")
    return value


def _textfile(value: str) -> str:
    if value and not value.endswith(_SUFFIX):
        raise ValueError(f"must be empty or end in {_SUFFIX}: node_exporter reads no other files")
    return value


class Metrics(Table):
    """Figures for Prometheus by HTTP or in a file, and the attribute `device.health`."""

    bind: Annotated[str, AfterValidator(_bind), PROCESS_RESTART] = Field(default="", max_length=300)
    textfile: Annotated[FilePath, AfterValidator(_textfile), PROCESS_RESTART] = ""
    health: Annotated[bool, PROCESS_RESTART] = False
