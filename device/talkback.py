"""Talkback, which costs nothing unless a speaker is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from livekit import rtc

    from device.config import effective
    from device.lifecycle.deadlines import Deadlines
    from device.speaker.reference import EchoReference
    from device.speaker.speaker import Speaker
    from device.telemetry.attributes import Attributes
    from device.telemetry.sampler import Sample


class Talkback:
    """Makes and runs the speaker if there is one. `speaker` is None otherwise, and `echo`, what it plays, too.

    It learns the end of each session as a listener to its samples.
    """

    def __init__(self, table: effective.Speaker) -> None:
        self.speaker: Speaker | None = None
        self.echo: EchoReference | None = None
        self.running: list[asyncio.Task[None]] = []
        self._table = table
        if table.on:
            from device.speaker.reference import EchoReference

            self.echo = EchoReference(duck=table.duck_microphone)

    def start(self, tasks: asyncio.TaskGroup, *, attributes: Attributes, deadlines: Deadlines) -> None:
        """Run the speaker, after the SDK was loaded."""
        if self.echo is not None:
            from device.speaker.speaker import Speaker

            self.speaker = Speaker(self._table, attributes=attributes, deadlines=deadlines)
            self.speaker.playback.reference = self.echo
            self.running.append(tasks.create_task(self.speaker.run(), name="speaker"))

    def use(self, table: effective.Speaker) -> None:
        """Use other settings."""
        if self.speaker is not None and self.echo is not None:
            self.speaker.use(table)
            self.echo.duck = table.duck_microphone

    @property
    def serve(self) -> Callable[[rtc.Room], None] | None:
        """What a Room gets after the join; None without a speaker."""
        return self.speaker.serve if self.speaker else None

    def sampled(self, sample: Sample) -> None:
        """Do nothing: what is sent is of no account here."""

    def ended(self, reason: str) -> None:  # noqa: ARG002 - of a listener
        """Hear nobody, because the session has ended."""
        if self.speaker is not None:
            self.speaker.leave()
