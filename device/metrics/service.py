"""What [metrics] turns on, as long as the daemon runs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from device.config.effective import Metrics
    from device.metrics.reader import Reader
    from device.telemetry.attributes import Attributes

    Part = Callable[[], Coroutine[None, None, None]]

log = structlog.get_logger()

_AGAIN_S = 60.0


async def run_metrics(config: Metrics, reader: Reader, attributes: Attributes) -> None:
    """Serve, write and report what the configuration asks for, until cancelled. A failure never ends the daemon."""
    async with asyncio.TaskGroup() as tasks:
        for name, each in _parts(config, reader, attributes).items():
            tasks.create_task(_kept(name, each), name=f"metrics-{name}")


def _parts(config: Metrics, reader: Reader, attributes: Attributes) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    if config.health:
        parts["health"] = partial(_report_health, reader, attributes)
    if config.bind or config.textfile:
        try:
            from device.metrics.exposition import Exposition  # 2 MB with prometheus_client
        except ImportError:
            hint = "apt install python3-prometheus-client, or pip install prometheus-client"
            log.error("metrics.unavailable", why="prometheus_client is not installed", hint=hint)  # noqa: TRY400
            return parts
        exposition = Exposition(reader.read)
        if config.bind:
            from device.metrics.http_server import MetricsServer

            parts["http"] = MetricsServer(config.bind, exposition.answer).run
        if config.textfile:
            from device.metrics.text_file import TextFile

            parts["file"] = TextFile(config.textfile, exposition.text).run
    return parts


async def _report_health(reader: Reader, attributes: Attributes) -> None:
    from device.metrics.health import INTERVAL_S, MAX_CHARACTERS, HealthReports

    reports = HealthReports()
    while True:
        if (text := reports.update(reader.read())) is not None:
            attributes.set_long("health", text, most_characters=MAX_CHARACTERS)
        await asyncio.sleep(INTERVAL_S)


async def _kept(name: str, part: Part) -> None:
    """Run a part until cancelled; one that fails is logged, and begins again after a minute."""
    while True:
        try:
            await part()
        except Exception as error:  # publishing goes on
            log.error("metrics.part_failed", part=name, exc_info=error)  # noqa: TRY400 - one line, redacted
        await asyncio.sleep(_AGAIN_S)
