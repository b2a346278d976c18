"""The options of `livekit-device setup`: one for each answer, for scripts."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import DeviceError, ExitCode
from device.redaction import hide
from device.setup.answers import KeyPair, ReadyToken, Source, TokenEndpoint

if TYPE_CHECKING:
    from device.setup.answers import TokenOrigin
    from device.setup.present import Present

_MAX_BYTES = 64 << 10
_STANDARD_INPUT = Path("-")
_NONE = frozenset({"off", "none"})


class UsageError(DeviceError):
    """Options that are missing or contradict each other."""

    exit_code = ExitCode.USAGE


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options; secrets are read from files, because every user can list the arguments of a process."""
    add = parser.add_argument
    add("--url", metavar="URL", help="the LiveKit server: wss://HOST or ws://HOST")
    add("--room", metavar="NAME", help="the room; needed with --api-key")
    add("--name", metavar="TEXT", help="the name of this device that viewers see")
    add("--identity", metavar="TEXT", help="the identity in the room (default: derived from the board's serial number)")
    add("--api-key", metavar="KEY", help="the project's API key; needs --api-secret-file")
    for name, text in (
        ("--api-secret-file", "a file with the API secret"),
        ("--token-file", "a file with a ready token"),
        ("--endpoint-headers-file", "a file with the HTTP headers that the token endpoint needs"),
    ):
        add(name, type=Path, metavar="FILE", help=f"{text}; - reads standard input")
    add("--endpoint", metavar="URL", help="a token endpoint")
    add(
        "--camera",
        metavar="WHICH",
        help="auto, off, pattern, a camera's number, model or id, v4l2:NAME or /dev/videoN (see `devices`)",
    )
    add("--microphone", metavar="WHICH", help="auto, off, tone, or part of a microphone's name (see `devices`)")
    add("--speaker", metavar="WHICH", help="auto, off, or part of a speaker's name (see `devices`; default: off)")
    add("--no-check", action="store_true", help="do not test the answers: the server or camera may be available later")
    add("--no-start", action="store_true", help="do not start the service")
    add("--yes", action="store_true", help="ask nothing; values without an option stay unchanged")
    add("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The answers from the options; None without the option. `origin` is also None if a part of it is missing."""

    url: str | None
    room: str | None
    name: str | None
    identity: str | None
    origin: TokenOrigin | None
    camera: Source | None
    microphone: Source | None
    speaker: Source | None


def given(options: argparse.Namespace) -> Given:
    """Read the options and their files. Raises UsageError."""
    origins = [name for name in ("api_key", "token_file", "endpoint") if getattr(options, name) is not None]
    if len(origins) > 1:
        raise UsageError(f"{_listed(origins)} are given together; allowed is one token source")
    for name, needed in (("api_secret_file", "api_key"), ("endpoint_headers_file", "endpoint")):
        if getattr(options, name) is not None and getattr(options, needed) is None:
            raise UsageError(f"{_option(name)} needs {_option(needed)}")
    files = [name for name in ("api_secret_file", "token_file", "endpoint_headers_file") if getattr(options, name)]
    by_input = [name for name in files if getattr(options, name) == _STANDARD_INPUT]
    if by_input and not options.yes:
        raise UsageError(f"{_option(by_input[0])} - reads standard input, which the questions need; add --yes")
    texts = {name: _content(getattr(options, name), name) for name in files}
    origin: TokenOrigin | None = None
    if options.token_file is not None:
        origin = ReadyToken(token=texts["token_file"])
    elif options.endpoint is not None:
        origin = TokenEndpoint(url=options.endpoint, headers=texts.get("endpoint_headers_file", ""))
    elif options.api_key is not None and "api_secret_file" in texts:
        origin = KeyPair(key=options.api_key, secret=texts["api_secret_file"])
    return Given(
        url=options.url,
        room=options.room,
        name=options.name,
        identity=options.identity,
        origin=origin,
        camera=None if options.camera is None else camera(options.camera),
        microphone=None if options.microphone is None else microphone(options.microphone),
        speaker=None if options.speaker is None else speaker(options.speaker),
    )


def demand_complete(options: argparse.Namespace, present: Present) -> None:
    """Raise UsageError that names every option that is missing with `--yes`."""
    missing = [] if options.url or present.urls else ["--url"]
    origin = "key" if options.api_key else "other" if options.token_file or options.endpoint else present.origin
    if not origin:
        missing.append("--api-key with --api-secret-file (or --token-file, or --endpoint)")
    elif options.api_key and not options.api_secret_file:
        missing.append("--api-secret-file")
    if origin in ("key", "") and not options.room and not present.text_of("room", "name"):
        missing.append("--room")
    if missing:
        raise UsageError(f"--yes asks nothing, and these options are missing: {', '.join(missing)}")


def camera(text: str) -> Source:
    """Return the camera that `--camera` names; V4L2 cameras have a node, a link, a serial number or a prefix."""
    kind, colon, name = text.partition(":")
    if kind.lower() == "v4l2":
        return Source(source="v4l2", device=name)
    if text.startswith("/dev/") or (kind.lower() == "serial" and colon):
        return Source(source="v4l2", device=text)
    return _source(text, default="first", synthetic="pattern")


def microphone(text: str) -> Source:
    return _source(text, default="default", synthetic="tone")


def speaker(text: str) -> Source:
    """Return the speaker that `--speaker` names."""
    if text.lower() in _NONE:
        return Source(source="off")
    return Source(source="pyaudio", device="" if text.lower() in ("", "auto", "default") else text)


def _source(text: str, *, default: str, synthetic: str) -> Source:
    """Return the source that an option names: the default device, a synthetic one, none, or a device by its name."""
    match text.lower():
        case word if word in ("", "auto", default):
            return Source(source="auto")
        case word if word == synthetic:
            return Source(source=synthetic)
        case word if word in _NONE:
            return Source(source="off")
    return Source(source="auto", device=text)


def _content(path: Path, name: str) -> str:
    """Return the text of a file with a secret. Raises UsageError, without the content."""
    try:
        if path == _STANDARD_INPUT:
            text = sys.stdin.read(_MAX_BYTES)
        else:
            with path.open(encoding="utf-8-sig") as file:
                text = file.read(_MAX_BYTES)
    except OSError as error:
        raise UsageError(f"{_option(name)} {path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{_option(name)} {path}: is not text") from None
    if not text.strip():
        raise UsageError(f"{_option(name)} {path}: is empty")
    for line in text.splitlines():
        hide(line.partition(":")[2].strip() if name == "endpoint_headers_file" else line.strip())
    return text.strip()


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _listed(names: list[str]) -> str:
    return " and ".join(map(_option, names))
