"""Validators for configuration values: URLs, paths, sizes. Error texts do not contain the value."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from device import stream_url
from device.config.room_url import websocket_url
from device.config.streams import check_name

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_MAX_URLS = 8
AUTOMATIC = "auto"
_LEAST_MB, _MOST_MB = 32, 65536
_SHORT_NAME = re.compile(r"[a-z0-9_-]{1,32}")


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even, as H.264 with 4:2:0 colour needs")
    return value


def _urls(value: object) -> object:
    """Return one URL or a list of URLs as a tuple; in the environment a list is JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError('is not JSON; a list must look like ["wss://ONE", "wss://TWO"]') from None
    if isinstance(value, str):
        return (websocket_url(value),)
    if not isinstance(value, list | tuple) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError("must be a URL in quotes, or a list of them")
    if len(value) > _MAX_URLS:
        raise ValueError(f"is a list of {len(value)} URLs; allowed: {_MAX_URLS} at most")
    return tuple(websocket_url(each) for each in value)


# NoDecode: pydantic-settings would parse every value from the environment as JSON.
WebSocketUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_urls)]
Dimension = Annotated[int, AfterValidator(_even)]


def _right_angle(value: int) -> int:
    if value not in (0, 90, 180, 270):
        raise ValueError("must be 0, 90, 180 or 270 (degrees clockwise)")
    return value


Degrees = Annotated[int, AfterValidator(_right_angle)]


def _memory_limit(value: object) -> object:
    """Return "auto", or a number of megabytes, which the environment has as text."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if value == AUTOMATIC or (type(value) is int and (value == 0 or _LEAST_MB <= value <= _MOST_MB)):
        return value
    raise ValueError(f'must be "{AUTOMATIC}", 0 for never, or {_LEAST_MB} to {_MOST_MB} (megabytes)')


MemoryLimit = Annotated[int | str, BeforeValidator(_memory_limit)]


def _file_path(value: str) -> str:
    """Raise ValueError for a URL, without the value, which may contain a password."""
    if "://" in value or value.lower().startswith("file:"):
        raise ValueError("is a URL; allowed is the path of a file on this device")
    return value


FilePath = Annotated[str, AfterValidator(_file_path)]


def is_file_path(field: FieldInfo) -> bool:
    """Return whether a key of the schema is the path of a file."""
    return any(isinstance(each, AfterValidator) and each.func is _file_path for each in field.metadata)


def _stream_url(value: SecretStr) -> SecretStr:
    return SecretStr(stream_url.checked(text)) if (text := value.get_secret_value()) else value


StreamUrl = Annotated[SecretStr, AfterValidator(_stream_url)]
StreamName = Annotated[str, AfterValidator(check_name)]


def short_name(of: str) -> AfterValidator:
    """Return what checks the name of a table's entry, such as `of` a command."""

    def checked(value: str) -> str:
        if not _SHORT_NAME.fullmatch(value):
            raise ValueError(f"is not a name for a {of}; allowed: 1 to 32 letters (a to z), digits, - and _")
        return value

    return AfterValidator(checked)
