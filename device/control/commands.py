"""The commands that ask a running daemon: `status`, `logs`, `rejoin`, `privacy` and `play`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from device.config.places import is_set_up
from device.control.client import ask
from device.control.operations import GetLogs, GetStatus, PlaySound, Rejoin, SetPrivacy
from device.errors import ExitCode, NotRunningError
from device.lifecycle.not_set_up import STATUS
from device.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_KILO, _MEGA = 1000, 1_000_000


def status(config: Path | None, *, as_json: bool) -> int:
    """Print how the device is. Return 0 if it is live, 1 if not, 3 if no daemon runs."""
    try:
        found = ask(GetStatus())
    except NotRunningError as error:
        _complain(str(error) if is_set_up(config) else STATUS)
        return ExitCode.NOT_RUNNING
    if config is not None and str(config.absolute()) != found["config_file"]:
        _complain(f"the daemon that runs uses {found['config_file']}")
        return ExitCode.NOT_RUNNING
    _say(json.dumps(found, indent=2, ensure_ascii=True) if as_json else status_text(found))
    return ExitCode.OK if found["state"] == "live" else ExitCode.FAILED


def demand_configuration(config: Path | None) -> None:
    """Raise NotRunningError if the daemon that runs uses another file than the one that is named."""
    if config is not None and str(config.absolute()) != (used := ask(GetStatus())["config_file"]):
        raise NotRunningError(f"the daemon that runs uses {used}")


def logs(*, level: str, lines: int, as_json: bool) -> int:
    """Print the newest log records of the daemon."""
    for each in ask(GetLogs(level=level, lines=lines))["records"]:
        _say(json.dumps(each, ensure_ascii=False) if as_json else record_text(each))
    return ExitCode.OK


def rejoin() -> int:
    """Let the daemon leave the room and join it again."""
    _say(ask(Rejoin())["text"])
    return ExitCode.OK


def privacy(config: Path | None, *, on: bool, stream: str, local: bool) -> int:
    """Let nothing be captured of a stream, or of all, or turn that off."""
    if local and not on:
        _complain("--local belongs to `privacy on`")
        return ExitCode.USAGE
    demand_configuration(config)
    _say(ask(SetPrivacy(on=on, stream=stream, local=local))["text"])
    return ExitCode.OK


def play(config: Path | None, name: str) -> int:
    """Let the daemon play a sound; return when it was played."""
    demand_configuration(config)
    _say(ask(PlaySound(name=name))["text"])
    return ExitCode.OK


def status_text(found: dict[str, Any]) -> str:
    """Return the status as lines for a terminal."""
    room, board = found["room"], found["board"]
    rows = [
        ("state", found["state"]),
        ("room", _with_reason(room["state"], room["reason"]) + f", {room['url']}"),
        *((name, stream_text(each)) for name, each in found["streams"].items()),
        *([("speaker", speaker_text(speaker))] if (speaker := found.get("speaker")) else []),
        ("identity", found["identity"]),
        ("version", f"{found['version']} on {found['model']}"),
        ("running for", duration_text(found["uptime_s"])),
    ]
    if room["last_disconnect"]:
        rows.append(("last left", room["last_disconnect"]))
    if abs(found["clock_offset_s"]) >= 1:
        rows.append(("clock", f"{found['clock_offset_s']:+.0f} s from the server's"))
    if board["temperature_celsius"] is not None:
        reasons = f", {', '.join(board['throttled'])}" if board["throttled"] else ""
        rows.append(("board", f"{board['temperature_celsius']:.0f} degrees Celsius{reasons}"))
    if found["configuration"]:
        rows.append(("configuration", found["configuration"]))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {printable(text)}" for name, text in rows)


def stream_text(stream: dict[str, Any]) -> str:
    """Return one stream as text."""
    parts = [_with_reason(stream["state"], stream["reason"])]
    if stream["publication"] != "published":
        parts.append(stream["publication"])
    if stream["width"]:
        parts.append(f"{stream['width']}x{stream['height']} at {stream['fps']:.0f} fps")
    if rate := stream["bitrate_bps"]:
        parts.append(f"{rate / _MEGA:.1f} Mbit/s" if rate >= _MEGA else f"{rate / _KILO:.0f} kbit/s")
    if stream.get("watched") is not None:
        since = stream["watched_since"].partition(".")[0].replace("T", " ")
        parts.append(f"{'watched' if stream['watched'] else 'unwatched'} since {since} UTC")
    if stream["drops"]:
        causes = ", ".join(f"{count} {cause.replace('_', ' ')}" for cause, count in stream["drops"].items())
        parts.append(f"dropped: {causes}")
    return ", ".join(parts)


def speaker_text(speaker: dict[str, Any]) -> str:
    """Return the speaker, and who is talking, as text."""
    text = _with_reason(speaker["state"], speaker["reason"])
    return f"{text}, {', '.join(speaker['talkers'])} talking" if speaker["talkers"] else text


def duration_text(seconds: float) -> str:
    """Return a duration in its largest two units."""
    whole = int(seconds)
    for unit, name, next_unit, next_name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min")):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // next_unit} {next_name}"
    return f"{whole // _MINUTE} min {whole % _MINUTE} s" if whole >= _MINUTE else f"{whole} s"


def record_text(record: dict[str, Any]) -> str:
    """Return a log record as one line."""
    rest = {key: value for key, value in record.items() if key not in ("number", "time", "level", "event")}
    fields = " ".join(f"{key}={value}" for key, value in rest.items())
    return printable(
        f"{record.get('time', '')} {record.get('level', ''):8} {record.get('event', '')} {fields}".rstrip()
    )


def _with_reason(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else state


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")
