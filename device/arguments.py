"""Parses command line values with units; error texts contain no secrets."""

from __future__ import annotations

import argparse
import datetime
import re
from typing import TYPE_CHECKING, NoReturn

from device.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable

_DURATION = re.compile(r"(\d+)\s*([smhd]?)")
_NAME = re.compile(
    r"(?=.{1,253}\.?\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?", re.IGNORECASE
)
_UNITS = {"s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_PORT = 65535
_MAX_IDENTITY = 128
_ADDED = 9  # a dash and eight digits
_MAX_TTL = datetime.timedelta(days=365)


class Parser(argparse.ArgumentParser):
    """A parser whose error texts are redacted."""

    def error(self, message: str) -> NoReturn:
        super().error(redacted(message))


def address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def is_host_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def host_name(text: str) -> str:
    if not is_host_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a host name, such as cam.example.org; it has no port")
    return text


def identity(text: str) -> str:
    if not text.isprintable() or not 1 <= len(text) <= _MAX_IDENTITY:
        raise argparse.ArgumentTypeError(f"{text!r} is not an identity; allowed: 1 to {_MAX_IDENTITY} characters")
    return text


def identity_prefix(text: str) -> str:
    """Return the begin of identities, to which a few characters are added."""
    most = _MAX_IDENTITY - _ADDED
    if not text.isprintable() or not 1 <= len(text) <= most or set(text) & set("*?["):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name; allowed: 1 to {most} characters without * ? [")
    return text


def duration(text: str) -> datetime.timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, such as 30m, 6h or 7d")
    try:
        ttl = datetime.timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        ttl = datetime.timedelta.max
    if ttl > _MAX_TTL:
        raise argparse.ArgumentTypeError(f"{text!r} is too long; allowed is at most {_MAX_TTL.days}d")
    return ttl


def seconds(least: int, most: int) -> Callable[[str], float]:
    """Return a parser of seconds between two bounds."""
    parsed = whole(least, most, what="number of seconds")
    return lambda text: float(parsed(text))


def whole(least: int, most: int, *, what: str = "whole number") -> Callable[[str], int]:
    """Return a parser of whole numbers between two bounds."""

    def parsed(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {what}; allowed: {least} to {most}")
        return int(text)

    return parsed
