"""The configuration that is in effect: plain data; `device.config.schema` is its checked form.

The daemon holds these. It does not import the schema: pydantic takes 11 MB, and a child process validates
(`device.config.validation`). Each key stands here with its type, and in the schema with default, bounds and marks.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping  # noqa: TC003 - `get_type_hints` needs it
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Literal

from device.config.marks import Key  # noqa: TC001 - as above
from device.config.streams import AnyStream, NamedStream, cameras_of, microphones_of


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that no other text contains by mistake."""

    _text: str = field(default="", repr=False)

    def get_secret_value(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    url: tuple[str, ...]
    name: str
    identity: str
    display_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    token_file: str
    endpoint: str = field(repr=False)
    endpoint_headers_file: str
    api_key: str
    api_secret: Secret
    api_secret_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    enabled: bool
    below_lux: float
    above_lux: float
    below_luma: float
    above_luma: float
    hold_s: float
    min_s: float
    fps: int
    controls: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    source: str
    width: int
    height: int
    fps: int
    device: str
    path: str = field(repr=False)
    url: Secret
    url_file: str
    rtsp_transport: str
    hflip: bool
    vflip: bool
    rotate: int
    encoder: str
    x264_preset: str
    bitrate_max_bps: int
    bitrate_min_bps: int
    keyframe_interval_s: int
    when_unwatched: Literal["send", "pause", "sleep"]
    sleep_after_s: float
    controls: dict[str, Any]
    night: Night


@dataclass(frozen=True, slots=True, kw_only=True)
class Microphone:
    source: str
    device: str
    path: str = field(repr=False)
    url: Secret
    url_file: str
    rtsp_transport: str
    channels: int
    gain_db: float
    processing: bool
    redundancy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    source: str
    device: str
    volume_db: float
    allow: list[str]
    exclusive: bool
    max_s: float
    duck_microphone: bool

    @property
    def on(self) -> bool:
        return self.source != "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    proxy: Secret
    proxy_file: str
    no_proxy: str
    ca_file: str
    relay: Literal["auto", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """`allow` are rules as JSON has them: `device.control.permission` has their type."""

    allow: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    camera_stall_s: float
    microphone_stall_s: float
    delivery_stall_s: float
    memory_mb: int | str  # "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    probe_s: float
    spread_s: float
    max_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    bind: str
    textfile: str
    health: bool

    @property
    def on(self) -> bool:
        return bool(self.bind or self.textfile or self.health)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    level: Literal["debug", "info", "warning", "error"]
    format: Literal["auto", "console", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Lines of `device.config.command_words.line_words`, or empty."""

    watched: str
    unwatched: str

    @property
    def on(self) -> bool:
        return bool(self.watched or self.unwatched)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    run: tuple[str, ...]
    timeout_s: float
    arguments: dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The complete configuration; `keys` is what the schema says about each key, such as "cameras.NAME.fps"."""

    room: Room
    credentials: Credentials
    camera: Camera
    cameras: dict[str, Camera]
    microphone: Microphone
    microphones: dict[str, Microphone]
    speaker: Speaker
    network: Network
    control: Control
    reconnect: Reconnect
    watch: Watch
    metrics: Metrics
    log: Log
    sounds: dict[str, str]
    hooks: Hooks
    commands: dict[str, Command]
    keys: Mapping[str, Key] = field(compare=False, repr=False)

    @property
    def active_cameras(self) -> list[NamedStream[Camera]]:
        """The cameras that are not off, in the order in which they are published."""
        return [each for each in cameras_of(self) if each.table.source != "off"]

    @property
    def active_microphones(self) -> list[NamedStream[Microphone]]:
        """The microphones that are not off, in the order in which they are published."""
        return [each for each in microphones_of(self) if each.table.source != "off"]

    @property
    def streams(self) -> list[AnyStream]:
        """What is published, in this order: the cameras and microphones that are not off."""
        return [*self.active_cameras, *self.active_microphones]


def restored(data: Mapping[str, Any], keys: Mapping[str, Key]) -> Config:
    """Return the configuration from its tables. Raises TypeError or ValueError for data of another version."""
    return _restored(Config, {**data, "keys": keys})  # type: ignore[no-any-return]


def _restored(hint: Any, value: Any) -> Any:
    if hint is Secret:
        return Secret(value)
    if isinstance(hint, type) and is_dataclass(hint):
        known = _hints(hint)
        return hint(**{name: _restored(known.get(name), each) for name, each in dict(value).items()})
    if typing.get_origin(hint) is tuple:
        return tuple(value)
    if typing.get_origin(hint) is dict and is_dataclass(inner := typing.get_args(hint)[1]):
        return {name: _restored(inner, each) for name, each in dict(value).items()}
    return value


@cache
def _hints(table: type) -> dict[str, Any]:
    found = typing.get_type_hints(table)
    return {each.name: found[each.name] for each in fields(table)}
