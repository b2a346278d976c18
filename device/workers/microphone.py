"""The microphone worker: sound in, blocks of PCM out to the daemon."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from device.errors import SourceError
from device.workers.jobs import MicrophoneJob
from device.workers.link import Link, settle_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device.sources.block import Block


class Source(Protocol):
    """What yields blocks; see `device.sources`."""

    name: str

    def blocks(self) -> Iterator[Block]: ...
    def close(self) -> None: ...


def main() -> int:
    settle_in()
    link = Link.of_file_descriptor(int(sys.argv[1]))
    try:
        _capture(link, MicrophoneJob(**link.settings))
    except Exception as error:  # the daemon must hear of whatever ends this process  # noqa: BLE001
        link.failed(error)
        return 1
    return 0


def _capture(link: Link, job: MicrophoneJob) -> None:
    source = open_source(job)
    amplify = _amplifier(job.gain_db)
    link.hello(source=source.name, channels=job.channels)
    try:
        for block in source.blocks():
            for command in link.commands():
                link.reply(command, "unknown command")
            link.block(amplify(block.samples), captured_at_us=block.captured_at_us)
    finally:
        source.close()


def open_source(job: MicrophoneJob) -> Source:
    """Import and open the source that is asked for; the others' libraries stay out of this process."""
    match job.source:
        case "tone":
            from device.sources.tone import ToneSource

            return ToneSource(channels=job.channels)
        case "file":
            from device.sources.clip import SoundClip

            return SoundClip(path=job.path, channels=job.channels, epoch_us=job.epoch_us)
    raise SourceError(f"there is no microphone source {job.source!r}")


def _amplifier(gain_db: float) -> Callable[[bytes], bytes]:
    if not gain_db:
        return lambda samples: samples
    import numpy as np  # without gain a microphone needs no numpy

    factor = 10 ** (gain_db / 20)

    def amplify(samples: bytes) -> bytes:
        louder = np.frombuffer(samples, np.int16) * factor
        return bytes(np.clip(louder, -32768, 32767).astype(np.int16))

    return amplify


if __name__ == "__main__":
    sys.exit(main())
