"""The metrics as text for Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics

from device.metrics.families import families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from device.metrics.readings import Readings

_OPENMETRICS = "application/openmetrics-text"
_PLAIN = "text/plain; version=0.0.4; charset=utf-8"
_FRESH_S = 1.0  # as often as the figures of the room change


class Exposition:
    """Makes the text of what `read` returns: at most once a second, however often it is asked for."""

    def __init__(self, read: Callable[[], Readings], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._answers: dict[str, tuple[float, bytes]] = {}

    def collect(self) -> Iterator[Metric]:
        return families(self._read())

    def answer(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and the body for an `Accept` header: OpenMetrics, or Prometheus's older format."""
        modern = _OPENMETRICS in accept
        content_type = openmetrics.CONTENT_TYPE_LATEST if modern else _PLAIN
        made_at, body = self._answers.get(content_type, (float("-inf"), b""))
        if self._clock() - made_at >= _FRESH_S:
            encode: Callable[[CollectorRegistry], bytes] = (
                openmetrics.generate_latest if modern else exposition.generate_latest
            )
            body = encode(self._registry)
            self._answers[content_type] = self._clock(), body
        return content_type, body

    def text(self) -> bytes:
        """Return the older format, which node_exporter reads."""
        return self.answer("")[1]
