"""A token's grants, and the texts about missing ones."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import CredentialError
from device.tokens.grants import read_grants

KEY = "k" * 32
BOTH = ("camera", "microphone")


def missing_for(video: dict[str, Any], sources: tuple[str, ...] = BOTH) -> list[str]:
    return read_grants(jwt.encode({"sub": "porch", "video": video}, KEY)).missing_for(sources)


@pytest.mark.parametrize(
    "video",
    (
        {},
        {"canPublish": True},
        {"canPublishSources": []},
        {"canPublishSources": ["camera", "microphone"]},
        {"canPublishSources": ["CAMERA", "Microphone", "screen_share"]},
    ),
)
def test_sufficient_grants(video: dict[str, Any]) -> None:
    assert missing_for({"room": "r", "roomJoin": True} | video) == []


@pytest.mark.parametrize("video", ({"room": "r"}, {"roomJoin": True}, {"room": "r", "roomJoin": False}, {}))
def test_without_a_room_to_join(video: dict[str, Any]) -> None:
    [said] = missing_for(video)
    assert "video.roomJoin" in said


def test_without_publishing_the_sources_do_not_matter() -> None:
    [said] = missing_for({"room": "r", "roomJoin": True, "canPublish": False, "canPublishSources": ["camera"]})
    assert "video.canPublish is false" in said


def test_each_source_that_is_missing_is_named() -> None:
    video = {"room": "r", "roomJoin": True, "canPublishSources": ["screen_share"]}
    assert [word for said in missing_for(video) for word in BOTH if word in said] == ["camera", "microphone"]
    assert len(missing_for(video, ("camera",))) == 1
    assert missing_for(video, ()) == []


def test_everything_at_once() -> None:
    assert len(missing_for({"canPublish": False})) == 2


def test_an_expired_token_is_still_read() -> None:
    grants = read_grants(jwt.encode({"sub": "porch", "exp": 5, "nbf": 3, "name": "Porch"}, KEY))
    assert (grants.identity, grants.expires_at) == ("porch", 5.0)
    assert not grants.can_update_own_metadata


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**320), 10**320) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@given(
    claims=st.fixed_dictionaries(
        {},
        optional={
            "sub": JSON,
            "name": JSON,
            "exp": JSON,
            "nbf": JSON,
            "video": JSON
            | st.fixed_dictionaries({}, optional={"room": JSON, "roomJoin": JSON, "canPublishSources": JSON}),
        },
    )
)
def test_any_claims_are_read_or_refused(claims: dict[str, Any]) -> None:
    token = jwt.api_jws.encode(json.dumps(claims).encode(), KEY)
    try:
        grants = read_grants(token)
    except CredentialError as error:
        assert token not in str(error)  # noqa: PT017
    else:
        assert isinstance(grants.missing_for(BOTH), list)


@given(st.text() | st.text("abcXYZ012-_.=", max_size=60))
def test_any_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(CredentialError, match="is not a LiveKit access token"):
        read_grants(text)


def test_a_hidden_token_is_not_sufficient() -> None:
    [said] = missing_for({"room": "r", "roomJoin": True, "hidden": True})
    assert "video.hidden" in said
    with pytest.raises(CredentialError, match="hidden"):
        read_grants(
            jwt.encode({"sub": "p", "video": {"room": "r", "roomJoin": True, "hidden": True}}, KEY)
        ).require_any(BOTH)


@pytest.mark.parametrize(
    ("video", "may"),
    (
        ({}, True),
        ({"canPublish": True}, True),
        ({"canPublish": False}, False),
        ({"canPublish": False, "canPublishData": True}, True),
        ({"canPublish": True, "canPublishData": False}, False),
    ),
)
def test_whether_data_may_be_sent(video: dict[str, Any], *, may: bool) -> None:
    assert read_grants(jwt.encode({"sub": "porch", "video": video}, KEY)).can_publish_data is may
