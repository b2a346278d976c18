"""What a reload does for a list of changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.config.diff import ChangeClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.config.diff import Change
    from device.streams.plan import StreamPlan

_TABLES_OF_STREAMS = ("cameras", "microphones")
_PATTERN = "pattern"  # its picture shows the identity
_CONTROLS = ".controls"
_SHARED_KEYS = ("url", "url_file", "rtsp_transport")  # a microphone may have those of [camera]
_MAX_KEYS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, from the least to the most. `restart` names the streams whose workers are restarted."""

    changes: tuple[Change, ...]
    restart: frozenset[str]
    rejoin: bool
    end_process: bool

    @property
    def text(self) -> str:
        """Return the changed keys, for logs and viewers."""
        return keys_text(self.changes)

    @property
    def why_rejoin(self) -> str:
        """Return why the room is left, for logs and viewers."""
        rejoins = tuple(each for each in self.changes if each.needs is ChangeClass.REJOIN)
        return f"the configuration changed: {keys_text(rejoins)}"


def decide(changes: Sequence[Change], old: Sequence[StreamPlan], new: Sequence[StreamPlan]) -> Decision:
    """Return what these changes need, with the plans before and after them."""
    classes = {each.needs for each in changes}
    restart = {stream_of(each.key) for each in changes if each.needs is ChangeClass.WORKER_RESTART}
    # An encoder in software is opened with its highest bitrate.
    restart |= {stream_of(each.key) for each in changes if _raises_bitrate(each)}
    restart |= {stream_of(each.key) for each in changes if _removes_controls(each)}
    before = {each.name: each.worker.job for each in old}
    for plan in new:
        job, present = plan.worker.job, before.get(plan.name)
        if job.source == _PATTERN and getattr(job, "identity", "") != getattr(present, "identity", ""):
            restart.add(plan.name)
        if present is not None and any(getattr(job, key) != getattr(present, key) for key in _SHARED_KEYS):
            restart.add(plan.name)
    return Decision(
        changes=tuple(changes),
        restart=frozenset(restart & {each.name for each in new}),
        rejoin=ChangeClass.REJOIN in classes,
        end_process=ChangeClass.PROCESS_RESTART in classes,
    )


def keys_text(changes: Sequence[Change]) -> str:
    """Return the names of changed keys, no more than a status line can show."""
    keys = [each.key for each in changes]
    more = f" and {len(keys) - _MAX_KEYS} more" if len(keys) > _MAX_KEYS else ""
    return ", ".join(keys[:_MAX_KEYS]) + more


def stream_of(key: str) -> str:
    """Return the name of the stream that a key belongs to: its table, or the name in a table of tables."""
    table, _, rest = key.partition(".")
    return rest.partition(".")[0] if table in _TABLES_OF_STREAMS else table


def _raises_bitrate(change: Change) -> bool:
    return change.key.endswith(".bitrate_max_bps") and change.needs is ChangeClass.REJOIN


def _removes_controls(change: Change) -> bool:
    """Return whether a control is no longer set: a camera's own value for it is known to a new worker only."""
    old, new = change.old, change.new
    return (
        change.key.endswith(_CONTROLS)
        and isinstance(old, dict)
        and isinstance(new, dict)
        and bool(old.keys() - new.keys())
    )
