"""Decodes one sound file, and writes it to standard output: FOUND and its samples, or REFUSED and why not."""

from __future__ import annotations

import os
import resource
import stat
import sys
from typing import TYPE_CHECKING, Final

from device.errors import SourceError, system_text
from device.ipc.worker_link import bind_to_daemon
from device.media.block import SAMPLE_BYTES, SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

FOUND: Final = b"+"
REFUSED: Final = b"-"
MAX_FILE_BYTES: Final = 16 << 20
MAX_SOUND_S: Final = 15
MAX_SOUND_BYTES: Final = MAX_SOUND_S * SAMPLE_RATE * SAMPLE_BYTES
_MAX_MEMORY_BYTES = 1 << 30  # of address space: libraries, and what a broken file makes FFmpeg ask for


def main() -> int:
    bind_to_daemon()
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    try:
        answer = FOUND + decoded(sys.argv[1])
    except SourceError as error:
        answer = REFUSED + str(error).removeprefix(f"{sys.argv[1]}: ").encode()
    except MemoryError:
        answer = REFUSED + b"needs too much memory"
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return 0


def decoded(path: str) -> bytes:
    """Return the sound of a file: one channel of 16 bits at 48 kHz. Raises SourceError, which names the file."""
    _check(path)
    samples = _plain_wave(path)
    if samples is None:
        parts, size = [], 0
        for part in _by_ffmpeg(path):
            parts.append(part)
            size += len(part)
            if size > MAX_SOUND_BYTES:
                break
        samples = b"".join(parts)
    if not samples:
        raise SourceError(f"{path}: has no sound that can be decoded")
    if len(samples) > MAX_SOUND_BYTES:
        raise SourceError(f"{path}: is longer than {MAX_SOUND_S} s")
    return samples


def _check(path: str) -> None:
    """Raise SourceError for what is no file, such as a pipe, which would never end, or a file that is too large."""
    try:
        found = os.stat(path)  # no Path is needed  # noqa: PTH116
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {system_text(error)}") from None
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"{path}: is no regular file")
    if found.st_size > MAX_FILE_BYTES:
        raise SourceError(f"{path}: is larger than {MAX_FILE_BYTES >> 20} MiB")


def _plain_wave(path: str) -> bytes | None:
    """Return the sound of a file that has these samples already, which needs no FFmpeg; None for others."""
    from device.sources.wave_file import WaveFile

    file = WaveFile.open_native(path=path, channels=1, epoch_us=0)
    return None if file is None else file.whole(MAX_SOUND_BYTES // SAMPLE_BYTES + 1)


def _by_ffmpeg(path: str) -> Iterator[bytes]:
    import av
    from av.audio.resampler import AudioResampler

    from device.sources.opening import error_text, opened

    container, stream = opened(path, "audio")
    resampler, shape = None, None
    with container:
        try:
            for frame in container.decode(stream):
                found = (frame.format.name, frame.layout.name, frame.sample_rate)
                if found != shape:  # it may change in the middle of a file
                    if resampler is not None:
                        yield from (each.to_ndarray().tobytes() for each in resampler.resample(None))
                    resampler, shape = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE), found
                assert resampler
                yield from (each.to_ndarray().tobytes() for each in resampler.resample(frame))
            if resampler is not None:
                yield from (each.to_ndarray().tobytes() for each in resampler.resample(None))
        except (av.error.FFmpegError, ValueError) as error:
            raise SourceError(f"{path}: cannot be decoded: {error_text(error)}") from None


if __name__ == "__main__":
    sys.exit(main())
