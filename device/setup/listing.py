"""Lists cameras, microphones and speakers with `livekit-device devices`, in a process that can be killed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from device.setup.answers import Source

_LIST_S = 30.0
_CARD = re.compile(r"[\s:-]*\(hw:\d+,\d+\)$")  # ALSA may change the numbers of its cards at each boot


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One choice, with its label."""

    label: str
    source: Source


def ask_devices() -> dict[str, Any]:
    """Return `cameras`, `microphones` and `speakers`: each is a list, or a text that explains why there is none."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "device", "devices", "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIST_S,
            check=False,
        )
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        why = f"the libraries did not answer within {_LIST_S:.0f} s"
    except (OSError, ValueError):
        why = "the devices could not be listed; run `livekit-device devices`"
    else:
        if isinstance(found, dict):
            return found
        why = "the devices could not be listed; run `livekit-device devices`"
    return {"cameras": why, "v4l2_cameras": why, "microphones": why, "speakers": why}


def cameras(found: Any, usb: Any, configured: Source | None) -> list[Choice]:
    """Return the choices; the first is the default. `found` are libcamera's, `usb` those of V4L2."""
    entries = found if isinstance(found, list) else []
    choices = [
        Choice(
            label=f"{entry.get('name')} ({entry.get('id')})",
            # A single camera is configured without its id, so that another model can replace it.
            source=Source(source="auto", device="" if len(entries) == 1 else str(entry.get("id", ""))),
        )
        for entry in entries
    ]
    choices += _v4l2_cameras(usb if isinstance(usb, list) else [])
    if not choices:
        choices.append(
            Choice(label=f"the first camera that is connected (none now: {found})", source=Source(source="auto"))
        )
    choices.append(Choice(label="a moving test picture", source=Source(source="pattern")))
    choices.append(Choice(label="no camera", source=Source(source="off")))
    return _with_configured(choices, configured)


def _v4l2_cameras(entries: list[Any]) -> list[Choice]:
    """Return the V4L2 cameras by what stays after replugging: the link, else the name if no other has it."""
    names = [str(each.get("name", "")) for each in entries]
    return [
        Choice(
            label=f"{name} ({entry.get('node')})",
            source=Source(
                source="v4l2",
                device=""
                if len(entries) == 1
                else str(entry.get("link") or (name if names.count(name) == 1 else entry.get("node", ""))),
            ),
        )
        for name, entry in zip(names, entries, strict=True)
    ]


def microphones(found: Any, configured: Source | None) -> list[Choice]:
    """Return the choices; the first is the default."""
    entries = found if isinstance(found, list) else []
    why = "" if entries else f" (none now: {found})"
    choices = [Choice(label=f"the system's default{why}", source=Source(source="auto"))]
    names = [str(entry.get("name", "")) for entry in entries]
    choices += [Choice(label=name, source=Source(source="auto", device=_lasting(name, names))) for name in names]
    choices.append(Choice(label="a quiet test tone", source=Source(source="tone")))
    choices.append(Choice(label="no microphone", source=Source(source="off")))
    return _with_configured(choices, configured)


def speakers(found: Any, configured: Source | None) -> list[Choice]:
    """Return the choices; the first is the default: no speaker. Empty if there is nothing to choose from."""
    entries = found if isinstance(found, list) else []
    if not entries and configured is None:
        return []
    choices = [Choice(label="no speaker: nobody can talk at this device", source=Source(source="off"))]
    choices.append(Choice(label="the system's default", source=Source(source="pyaudio")))
    names = [str(entry.get("name", "")) for entry in entries]
    choices += [Choice(label=name, source=Source(source="pyaudio", device=_lasting(name, names))) for name in names]
    return _with_configured(choices, configured)


def _lasting(name: str, names: list[str]) -> str:
    """Return the part of a name that a reboot does not change, if no other name contains it."""
    part = _CARD.sub("", name)
    return part if part and sum(part.lower() in each.lower() for each in names) == 1 else name


def _with_configured(choices: list[Choice], configured: Source | None) -> list[Choice]:
    """Put the configured choice first."""
    if configured is None:
        return choices
    for choice in choices:
        if choice.source == configured:
            return [choice, *(each for each in choices if each is not choice)]
    device = f" {configured.device}" if configured.device else ""
    return [Choice(label=f"unchanged: {configured.source}{device}", source=configured), *choices]
