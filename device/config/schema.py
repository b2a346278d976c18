"""The configuration: tables, keys, defaults and bounds. `config/device.toml` documents them for users."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from device.config.capture_rules import check_camera, check_microphone, least_camera_stall_s
from device.config.commands import MAX_COMMANDS, Command, CommandName
from device.config.control import Control
from device.config.hooks import Hooks
from device.config.marks import LIVE, PROCESS_RESTART, REJOIN, REMOTE, SECRET, WORKER_RESTART
from device.config.metrics import Metrics
from device.config.network import Network
from device.config.night import Night
from device.config.sounds import MAX_SOUNDS, SoundName, SoundPath
from device.config.speaker import Speaker
from device.config.streams import cameras_of, contradiction, microphones_of
from device.config.table import CONTRADICTION, ControlValue, Table
from device.config.values import (
    AUTOMATIC,
    Degrees,
    Dimension,
    FilePath,
    MemoryLimit,
    StreamName,
    StreamUrl,
    WebSocketUrls,
)

CameraSource = Literal["auto", "picamera2", "v4l2", "stream", "pattern", "file", "off"]
X264Preset = Literal["ultrafast", "superfast", "veryfast", "auto"]
MicrophoneSource = Literal["auto", "pyaudio", "stream", "tone", "file", "off"]


class Room(Table):
    """The room, and the device's identity in it."""

    url: Annotated[WebSocketUrls, REJOIN]  # tried in this order
    name: Annotated[str, REJOIN] = Field(default="", max_length=256)
    identity: Annotated[str, REJOIN] = Field(default="", max_length=256)
    display_name: Annotated[str, REJOIN] = Field(default="", max_length=256)


class Credentials(Table):
    """The token source; `device.tokens.selection` creates it from these keys."""

    token_file: Annotated[FilePath, REJOIN] = ""
    endpoint: Annotated[str, REJOIN, SECRET] = Field(default="", repr=False)  # its query may hold a key
    endpoint_headers_file: Annotated[FilePath, REJOIN] = ""
    api_key: Annotated[str, REJOIN] = ""
    api_secret: Annotated[SecretStr, REJOIN] = SecretStr("")
    api_secret_file: Annotated[FilePath, REJOIN] = ""

    @field_validator("endpoint")
    @classmethod
    def _http(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            known = not value or (parts.scheme in ("http", "https") and parts.hostname)
            (parts.hostname or "").encode("idna")
        except ValueError:
            known = False
        if not known:
            raise ValueError("must be empty or a URL that begins with https:// or http://")
        if value and urlsplit(value).username is not None:
            raise ValueError(
                "must not hold a user or a password; put `Authorization: Basic ...` into endpoint_headers_file"
            )
        return value

    @model_validator(mode="after")
    def _one_token_source(self) -> Self:
        chosen = [key for key in ("token_file", "endpoint", "api_key") if getattr(self, key)]
        if len(chosen) > 1:
            raise ValueError(
                f"{' and '.join(chosen)} are both set; allowed is exactly one of token_file, endpoint, api_key"
            )
        if self.api_secret.get_secret_value() and self.api_secret_file:
            raise ValueError("api_secret and api_secret_file are both set; allowed is one of them")
        if (self.api_secret.get_secret_value() or self.api_secret_file) and not self.api_key and chosen:
            raise ValueError(f"an api_secret does not go with {chosen[0]}; allowed with api_key only")
        if self.endpoint_headers_file and not self.endpoint:
            raise ValueError("endpoint_headers_file is set without endpoint")
        return self


class Camera(Table):
    """The picture. Rates in bits a second, size in pixels."""

    source: Annotated[CameraSource, WORKER_RESTART] = "auto"
    width: Annotated[Dimension, WORKER_RESTART, REMOTE] = Field(default=1280, ge=160, le=3840)
    height: Annotated[Dimension, WORKER_RESTART, REMOTE] = Field(default=720, ge=120, le=2160)
    fps: Annotated[int, WORKER_RESTART, REMOTE] = Field(default=30, ge=1, le=120)
    device: Annotated[str, WORKER_RESTART] = ""
    path: Annotated[FilePath, WORKER_RESTART] = Field(default="", repr=False)
    url: Annotated[StreamUrl, WORKER_RESTART] = SecretStr("")
    url_file: Annotated[FilePath, WORKER_RESTART] = ""
    rtsp_transport: Annotated[Literal["tcp", "udp"], WORKER_RESTART] = "tcp"
    hflip: Annotated[bool, WORKER_RESTART] = False
    vflip: Annotated[bool, WORKER_RESTART] = False
    rotate: Annotated[Degrees, WORKER_RESTART] = 0
    encoder: Annotated[Literal["auto", "v4l2", "x264", "copy"], WORKER_RESTART] = "auto"
    x264_preset: Annotated[X264Preset, WORKER_RESTART] = "ultrafast"
    bitrate_max_bps: Annotated[int, LIVE, REMOTE] = Field(default=2_500_000, ge=50_000, le=50_000_000)
    bitrate_min_bps: Annotated[int, LIVE, REMOTE] = Field(default=60_000, ge=30_000, le=50_000_000)
    keyframe_interval_s: Annotated[int, WORKER_RESTART] = Field(default=10, ge=1, le=3600)
    when_unwatched: Annotated[Literal["send", "pause", "sleep"], PROCESS_RESTART] = "send"
    sleep_after_s: Annotated[float, LIVE] = Field(default=60.0, ge=5, le=86_400)
    controls: Annotated[dict[str, ControlValue], LIVE, REMOTE] = Field(default_factory=dict)
    night: Night = Night()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_camera(self)
        return self


class Microphone(Table):
    """The sound. It is always published at 48 kHz."""

    source: Annotated[MicrophoneSource, WORKER_RESTART] = "auto"
    device: Annotated[str, WORKER_RESTART] = ""
    path: Annotated[FilePath, WORKER_RESTART] = Field(default="", repr=False)
    url: Annotated[StreamUrl, WORKER_RESTART] = SecretStr("")
    url_file: Annotated[FilePath, WORKER_RESTART] = ""
    rtsp_transport: Annotated[Literal["tcp", "udp"], WORKER_RESTART] = "tcp"
    channels: Annotated[int, PROCESS_RESTART] = Field(default=1, ge=1, le=2)
    gain_db: Annotated[float, LIVE, REMOTE] = Field(default=0.0, ge=-60, le=60)
    processing: Annotated[bool, LIVE] = True
    redundancy: Annotated[bool, REJOIN] = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_microphone(self)
        return self


class NamedCamera(Camera):
    """One more camera, [cameras.NAME]."""

    source: Annotated[CameraSource, WORKER_RESTART]


class NamedMicrophone(Microphone):
    """One more microphone, [microphones.NAME]."""

    source: Annotated[MicrophoneSource, WORKER_RESTART]


class Watch(Table):
    """The seconds without data after which a source, or the connection to the room, is restarted; the memory limit."""

    camera_stall_s: Annotated[float, LIVE] = Field(default=2.0, ge=0.5, le=60)
    microphone_stall_s: Annotated[float, LIVE] = Field(default=1.0, ge=0.2, le=60)
    # A healthy connection's STUN responses are up to 2.3 s old (measured).
    delivery_stall_s: Annotated[float, LIVE] = Field(default=4.0, ge=3, le=60)
    memory_mb: Annotated[MemoryLimit, LIVE] = AUTOMATIC


class Reconnect(Table):
    """The timing of reconnections, in seconds."""

    probe_s: Annotated[float, LIVE] = Field(default=2.0, ge=0.5, le=60)
    spread_s: Annotated[float, LIVE] = Field(default=1.0, ge=0, le=3600)
    max_s: Annotated[float, LIVE] = Field(default=30.0, ge=1, le=3600)


class Log(Table):
    """The log."""

    level: Annotated[Literal["debug", "info", "warning", "error"], LIVE] = "info"
    format: Annotated[Literal["auto", "console", "json"], PROCESS_RESTART] = "auto"


class Config(Table):
    """The complete configuration; `device.config.loading` loads it from a file and `DEVICE_<TABLE>__<KEY>`."""

    room: Room
    credentials: Credentials = Credentials()
    camera: Camera = Camera()
    cameras: Annotated[dict[StreamName, NamedCamera], PROCESS_RESTART] = Field(default_factory=dict)
    microphone: Microphone = Microphone()
    microphones: Annotated[dict[StreamName, NamedMicrophone], PROCESS_RESTART] = Field(default_factory=dict)
    speaker: Speaker = Speaker()
    network: Network = Network()
    control: Control = Control()
    reconnect: Reconnect = Reconnect()
    watch: Watch = Watch()
    metrics: Metrics = Metrics()
    log: Log = Log()
    sounds: Annotated[dict[SoundName, SoundPath], LIVE] = Field(default_factory=dict, max_length=MAX_SOUNDS)
    hooks: Hooks = Hooks()
    commands: Annotated[dict[CommandName, Command], LIVE] = Field(default_factory=dict, max_length=MAX_COMMANDS)

    @model_validator(mode="after")
    def _camera_stall_limit(self) -> Self:
        """Refuse a stall limit that a healthy source exceeds. The default is raised to the minimum, not refused."""
        if "camera_stall_s" not in self.watch.model_fields_set:
            return self
        for each in cameras_of(self):
            if each.table.source != "off" and self.watch.camera_stall_s < (least_s := least_camera_stall_s(each.table)):
                raise ValueError(
                    f"watch.camera_stall_s is {self.watch.camera_stall_s:g}, but a healthy camera with the settings of "
                    f"[{each.key}] may pause for longer; allowed: {least_s:g} or more"
                )
        return self

    @model_validator(mode="after")
    def _hooks_name_commands(self) -> Self:
        tables = (each.table for each in cameras_of(self))
        known = any(each.source != "off" and each.when_unwatched != "send" for each in tables)
        if text := self.hooks.contradiction(self.commands, viewers_are_known=known):
            raise PydanticCustomError(CONTRADICTION, text)
        return self

    @model_validator(mode="after")
    def _consistent_streams(self) -> Self:
        if text := contradiction([*cameras_of(self), *microphones_of(self)]):
            raise PydanticCustomError(CONTRADICTION, text)
        return self
