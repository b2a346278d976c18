"""Who in the room may ask for what."""

from __future__ import annotations

from typing import Any

import pytest

from device.control.permission import NOT_SEEN, Participant, refusal, rules_of


def rule(identity: str, *operations: str, **attributes: str) -> dict[str, Any]:
    return {"identity": identity, "operations": list(operations), "attributes": attributes}


RULES = rules_of(
    [
        rule("ops-*", "status", "logs"),
        rule("boss", "restart"),
        rule("*", "rejoin", role="operator"),
        rule("ops-?", "rejoin", role="helper", shift="night"),
    ]
)


def why(identity: str, operation: str, attributes: dict[str, str] | None = None) -> str:
    return refusal(RULES, Participant(identity=identity, fixed_attributes=attributes), operation)


@pytest.mark.parametrize(
    ("identity", "operation", "attributes"),
    (
        ("ops-1", "status", None),
        ("ops-", "logs", {}),
        ("boss", "restart", None),
        ("anyone", "rejoin", {"role": "operator", "more": "x"}),
        ("ops-1", "rejoin", {"role": "helper", "shift": "night"}),
    ),
)
def test_a_rule_that_matches_allows(identity: str, operation: str, attributes: dict[str, str] | None) -> None:
    assert why(identity, operation, attributes) == ""


@pytest.mark.parametrize(
    ("identity", "operation", "attributes", "text"),
    (
        ("ops", "status", {}, "status is not allowed for this identity"),
        ("OPS-1", "status", {}, "status is not allowed for this identity"),
        ("xops-1", "status", {}, "status is not allowed for this identity"),
        ("ops-1", "restart", {}, "restart is not allowed for this identity"),
        ("boss\n", "restart", {}, "restart is not allowed for this identity"),
        ("ops-1", "reload", {"role": "operator"}, "reload is not allowed for this identity"),
        ("anyone", "rejoin", {"role": "viewer"}, "rejoin is not allowed with these attributes"),
        ("anyone", "rejoin", {}, "rejoin is not allowed with these attributes"),
        ("ops-1", "rejoin", {"role": "helper"}, "rejoin is not allowed with these attributes"),
        ("anyone", "rejoin", None, "attributes that the caller may change do not count"),
        ("", "rejoin", {"role": "operator"}, "rejoin is not allowed for this identity"),
    ),
)
def test_everything_else_is_refused(
    identity: str, operation: str, attributes: dict[str, str] | None, text: str
) -> None:
    assert text in why(identity, operation, attributes)


def test_a_participant_that_is_not_seen_may_nothing() -> None:
    hidden = Participant(identity="ops-1", seen=False)
    assert refusal(RULES, hidden, "status") == NOT_SEEN
    assert refusal(RULES, hidden, "restart") == "restart is not allowed for this identity"


def test_without_rules_nothing_is_allowed() -> None:
    assert refusal((), Participant(identity="ops-1", fixed_attributes={}), "status")


def test_a_pattern_of_many_stars_is_matched_at_once() -> None:
    rules = rules_of([rule("a*" * 40 + "b", "status")])
    assert refusal(rules, Participant(identity="a" * 5000, fixed_attributes=None), "status")
