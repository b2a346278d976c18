"""Opens a media file, and chooses the stream that plays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import av
from av.stream import Disposition

from device.errors import SourceError, system_text

if TYPE_CHECKING:
    from av.container import InputContainer

UNREADABLE = "the file cannot be read"
Kind = Literal["video", "audio"]
# A picture of a music file or film, and the small pictures of a player's time line, are video streams too.
_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails


def opened(path: str, kind: Kind) -> tuple[InputContainer, Any]:
    """Return the open file and its stream of this kind. Raises SourceError, which names the file."""
    try:
        container = av.open(path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(
            f"{path}: cannot be opened: {error_text(error)}", for_viewers="the file cannot be opened"
        ) from None
    streams: Any = getattr(container.streams, kind)
    playing = [each for each in streams if not each.disposition & _STILLS]
    if not playing:
        only = ": only a cover picture" if streams else ""
        raise SourceError(f"{path}: has no {kind}{only}", for_viewers=f"the file has no {kind}")
    known = [each for each in playing if each.codec_context is not None]
    if not known:
        raise SourceError(
            f"{path}: has {kind} that cannot be decoded: the file is incomplete, or its codec is not known",
            for_viewers=UNREADABLE,
        )
    # FFmpeg does the same: the stream that the file declares as its default, else the first one.
    return container, next((each for each in known if each.disposition & Disposition.default), known[0])


def films(container: InputContainer) -> list[Any]:
    """Return the streams that play: pictures and sound, without cover pictures."""
    streams: list[Any] = [*container.streams.video, *container.streams.audio]
    return [each for each in streams if not each.disposition & _STILLS]


def error_text(error: Exception) -> str:
    """Return FFmpeg's or the system's fixed text for an error; the error's own text may contain secrets."""
    if isinstance(error, av.error.FFmpegError) and error.strerror:
        return str(error.strerror)
    return system_text(error)
