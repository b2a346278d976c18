"""The streams that a configuration names: its cameras and microphones, in the order in which they are published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from device.config.effective import Camera, Microphone

Kind = Literal["camera", "microphone"]
TableT_co = TypeVar("TableT_co", covariant=True)
TableT = TypeVar("TableT")
CameraT_co = TypeVar("CameraT_co", covariant=True)
MicrophoneT_co = TypeVar("MicrophoneT_co", covariant=True)

MAX_STREAMS = 8
"""Cameras and microphones of one device. Each has a worker, and each camera an encoder."""
_MAX_NAME = 32
_NAME = re.compile(rf"[a-z0-9_-]{{1,{_MAX_NAME}}}")
# Sources that open a device which no second process can open.
_EXCLUSIVE = frozenset({"picamera2", "v4l2", "pyaudio", "auto"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedStream(Generic[TableT_co]):
    """A camera or microphone.

    name: of its track, its worker and its log lines, such as "garden"
    key: of its table in the configuration, such as "cameras.garden"
    kind: "camera" or "microphone", which is also the source that a token has to allow
    """

    name: str
    key: str
    kind: Kind
    table: TableT_co

    @property
    def label(self) -> str:
        """Its name in attributes and in the state file: "camera", or "camera.garden"."""
        return self.kind if self.name == self.kind else f"{self.kind}.{self.name}"


AnyStream = NamedStream["Camera"] | NamedStream["Microphone"]


class Tables(Protocol[CameraT_co, MicrophoneT_co]):
    """A configuration's cameras and microphones, checked (`schema`) or in effect (`effective`)."""

    @property
    def camera(self) -> CameraT_co: ...
    @property
    def cameras(self) -> Mapping[str, CameraT_co]: ...
    @property
    def microphone(self) -> MicrophoneT_co: ...
    @property
    def microphones(self) -> Mapping[str, MicrophoneT_co]: ...


class Table(Protocol):
    """A camera or a microphone."""

    @property
    def source(self) -> str: ...
    @property
    def device(self) -> str: ...


def cameras_of(config: Tables[TableT, object]) -> list[NamedStream[TableT]]:
    """Return the cameras, including those that are off: [camera] first, then [cameras.NAME] in the file's order."""
    named = [("camera", "camera", config.camera), *_named("cameras", config.cameras)]
    return [NamedStream(name=name, key=key, kind="camera", table=table) for name, key, table in named]


def microphones_of(config: Tables[object, TableT]) -> list[NamedStream[TableT]]:
    """Return the microphones, including those that are off, in the same order."""
    named = [("microphone", "microphone", config.microphone), *_named("microphones", config.microphones)]
    return [NamedStream(name=name, key=key, kind="microphone", table=table) for name, key, table in named]


def streams_of(config: Tables[Camera, Microphone]) -> list[AnyStream]:
    """Return the cameras and microphones, including those that are off."""
    return [*cameras_of(config), *microphones_of(config)]


def contradiction(streams: Sequence[NamedStream[Table]]) -> str:
    """Return what is wrong with streams as a whole: too many, none, a name or a device that two tables use."""
    active = [each for each in streams if each.table.source != "off"]
    if len(active) > MAX_STREAMS:
        return f"{len(active)} cameras and microphones are not off; allowed: {MAX_STREAMS} at most"
    if not active:
        off = [f"{each.key}.source" for each in streams]
        how_many = "both" if len(off) == 2 else "all"  # noqa: PLR2004 - [camera] and [microphone]
        return f"{' and '.join(off)} are {how_many} off; there would be nothing to publish"
    names: dict[str, str] = {}
    claims: dict[tuple[str, str], str] = {}
    for each in streams:
        if (other := names.setdefault(each.name, each.key)) != each.key:
            return f"{other} and {each.key} have the same name; use another name for one of them"
        if (claim := _claim(each)) and (other := claims.setdefault(claim, each.key)) != each.key:
            what = "by the same device" if claim[1] else "the first one, because device is empty"
            return (
                f"{other} and {each.key} claim the same {each.kind} ({what}); set another device in one of them: "
                "`livekit-device devices` lists them"
            )
    return ""


def _claim(stream: NamedStream[Table]) -> tuple[str, str] | None:
    """Return the exclusive device that a table names; None if others may use it too."""
    source, device = str(stream.table.source), stream.table.device.strip().casefold()
    if source not in _EXCLUSIVE:
        return None
    return (stream.kind, device)  # two libraries may find the same camera


def _named(tables: str, named: Mapping[str, TableT]) -> Iterator[tuple[str, str, TableT]]:
    for name, table in named.items():
        yield name, f"{tables}.{name}", table


def check_name(value: str) -> str:
    """Return the name of a stream. Raises ValueError for one that is not allowed."""
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"is not a name for a stream; allowed: 1 to {_MAX_NAME} lower-case letters (a to z), digits, - and _"
        )
    if value in ("camera", "microphone", "speaker"):
        raise ValueError(f"is the name of the table [{value}]; use another name")
    return value
