"""The registry of messages: each has one number, one direction and a payload that is checked field by field."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from device.errors import WireError
from device.ipc import messages
from device.ipc.registry import Direction, Request, Wire, message, registered, spec_of
from device.media.block import Block
from device.media.picture import AccessUnit


def test_every_message_is_a_frozen_dataclass_with_a_number_of_its_own() -> None:
    specs = registered()
    assert len({spec.number for spec in specs}) == len(specs)
    for spec in specs:
        assert is_dataclass(spec.type)
        assert spec.type.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert 0 < spec.number <= 255


def test_every_request_goes_to_the_worker() -> None:
    requests = [spec for spec in registered() if issubclass(spec.type, Request)]
    assert requests
    assert all(spec.direction is Direction.TO_WORKER for spec in requests)


def test_a_number_is_registered_once() -> None:
    with pytest.raises(ValueError, match=r"message 6 .* is registered twice"):
        message(6, Direction.TO_WORKER, max_payload_bytes=1)(int)


def test_a_type_is_registered_once() -> None:
    with pytest.raises(ValueError, match="SetBitrate"):
        message(250, Direction.TO_WORKER, max_payload_bytes=1)(messages.SetBitrate)


def job(**changed: Any) -> dict[str, Any]:
    return {
        "source": "tone",
        "device": "",
        "path": "",
        "channels": 1,
        "gain_db": 0,
        "epoch_us": 0,
    } | changed


def test_a_whole_number_serves_as_a_float() -> None:
    decoded = spec_of(messages.MicrophoneJob).decode(Wire(json.dumps(job()).encode()))
    assert decoded.gain_db == 0.0
    assert isinstance(decoded.gain_db, float)


@pytest.mark.parametrize(
    ("payload", "why"),
    (
        ("no JSON", "is not JSON$"),
        ("[]", "is not JSON object"),
        (json.dumps(job(channels="1")), "the field channels of a MicrophoneJob message must be int"),
        (json.dumps(job(channels=True)), "must be int"),
        (json.dumps(job(gain_db=None)), "must be float"),
        (json.dumps(job(more=1)), "has unknown fields"),
        (json.dumps({"source": "tone"}), "lacks a field"),
        ("[" * 100_000, "is not JSON"),
    ),
    ids=["text", "list", "text as number", "bool as number", "null", "unknown", "missing", "deep"],
)
def test_a_payload_that_does_not_fit_is_refused(payload: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        spec_of(messages.MicrophoneJob).decode(Wire(payload.encode()))


def test_media_go_over_the_wire_as_the_types_that_sources_and_tracks_use() -> None:
    assert {spec.type for spec in registered()} >= {AccessUnit, Block}


def test_jobs_hold_no_value_that_json_would_change() -> None:
    for job_type in (messages.CameraJob, messages.MicrophoneJob):
        assert {each.type for each in fields(job_type)} <= {"str", "int", "float", "bool", "dict[str, Any]"}
