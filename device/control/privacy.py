"""Turns privacy on and off: first what must not be captured ends, then it is written, then the caller is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.control.results import PrivacyState
from device.errors import CallError
from device.privacy import ALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.control.operations import SetPrivacy
    from device.privacy import KeptPrivacy
    from device.streams.stream import Stream

_NOT_KEPT = "; for this process only, because it has no state directory"


async def set_privacy(
    call: SetPrivacy, streams: Mapping[str, Stream], kept: KeptPrivacy, *, remote: bool
) -> PrivacyState:
    """Put it into effect and keep it. Raises CallError if the caller may not, or if it cannot be kept."""
    if remote and call.local:
        raise CallError("only a command on the device itself can ask for local")
    name = call.stream or ALL
    if name not in (ALL, *streams, *kept.now.held):
        raise CallError(f"there is no stream of this name; there are: {', '.join(sorted(streams)) or 'none'}")
    turn = _on if call.on else _off
    return await kept.change(lambda: turn(name, streams, kept, local=call.local, remote=remote))


async def _on(
    name: str, streams: Mapping[str, Stream], kept: KeptPrivacy, *, local: bool, remote: bool
) -> PrivacyState:
    del remote  # everybody may turn it on
    kept.now = kept.now.turned_on(name, local=local)
    concealed = {each: stream for each, stream in streams.items() if kept.now.covers(each)}
    for stream in concealed.values():
        stream.conceal()
    problem = await kept.keep(kept.now)
    hanging = [each for each, stream in concealed.items() if not await stream.concealed()]
    if hanging:
        raise CallError(
            f"nothing is sent of {', '.join(hanging)}, but a driver hangs and keeps the device open: "
            "it needs a reboot (docs/troubleshooting.md)"
        )
    if problem:
        raise CallError(f"privacy is on, but ends with this process: {problem}")
    return _state(kept)


async def _off(
    name: str, streams: Mapping[str, Stream], kept: KeptPrivacy, *, local: bool, remote: bool
) -> PrivacyState:
    del local  # who may lift it was said when it was turned on
    after = kept.now.turned_off(name, remote=remote)
    if problem := await kept.keep(after):
        raise CallError(f"privacy stays on: {problem}")
    kept.now = after
    for each, stream in streams.items():
        if not after.covers(each):
            stream.reveal()
    return _state(kept)


def _state(kept: KeptPrivacy) -> PrivacyState:
    now = kept.now
    text = f"privacy is on for {now.text}" if now.held else "privacy is off"
    return PrivacyState(
        text=text + ("" if kept.folder else _NOT_KEPT),
        all=ALL in now.held,
        streams=tuple(sorted(each for each in now.held if each != ALL)),
    )
