"""What [metrics] turns on, as long as the daemon runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from device.config.effective import Metrics
    from device.metrics.reader import Reader
    from device.telemetry.attributes import Attributes

log = structlog.get_logger()


async def run_metrics(config: Metrics, reader: Reader, attributes: Attributes) -> None:
    """Serve, write and report what the configuration asks for, until cancelled. A failure never ends the daemon."""
    async with asyncio.TaskGroup() as tasks:
        for name, each in _parts(config, reader, attributes).items():
            tasks.create_task(_guarded(name, each), name=f"metrics-{name}")


def _parts(config: Metrics, reader: Reader, attributes: Attributes) -> dict[str, Coroutine[None, None, None]]:
    parts: dict[str, Coroutine[None, None, None]] = {}
    if config.health:
        parts["health"] = _report_health(reader, attributes)
    if config.bind or config.textfile:
        from device.metrics.exposition import Exposition  # 14 MB with prometheus_client

        exposition = Exposition(reader.read)
        if config.bind:
            from device.metrics.http_server import MetricsServer

            parts["http"] = MetricsServer(config.bind, exposition.answer).run()
        if config.textfile:
            from device.metrics.text_file import TextFile

            parts["file"] = TextFile(config.textfile, exposition.text).run()
    return parts


async def _report_health(reader: Reader, attributes: Attributes) -> None:
    from device.metrics.health import INTERVAL_S, MAX_CHARACTERS, HealthReports

    reports = HealthReports()
    while True:
        if (text := reports.update(reader.read())) is not None:
            attributes.set_long("health", text, most_characters=MAX_CHARACTERS)
        await asyncio.sleep(INTERVAL_S)


async def _guarded(name: str, part: Coroutine[None, None, None]) -> None:
    try:
        await part
    except Exception as error:  # publishing goes on
        log.error("metrics.part_failed", part=name, exc_info=error)  # noqa: TRY400 - one line, redacted
