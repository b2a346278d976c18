"""Who in the room may ask for what: the rules of [control]. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


NOT_SEEN: Final = "the device does not see this participant in the room"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A participant of the room, as the server describes it.

    seen: whether the device sees it; news of participants may be late
    fixed_attributes: those that the participant cannot change itself; None if it may, or if that is not known
    """

    identity: str
    seen: bool = True
    fixed_attributes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What participants may ask for whose identity matches a pattern, and whose attributes have these values."""

    identity: str
    operations: frozenset[str]
    attributes: Mapping[str, str]


def rules_of(allow: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules of a valid configuration."""
    return tuple(
        Rule(identity=each["identity"], operations=frozenset(each["operations"]), attributes=dict(each["attributes"]))
        for each in allow
    )


def refusal(rules: Sequence[Rule], caller: Participant, operation: str) -> str:
    """Return why a caller may not ask for an operation; empty if it may."""
    why = f"{operation} is not allowed for this identity"
    for rule in rules:
        if operation not in rule.operations or not caller.identity or not fnmatchcase(caller.identity, rule.identity):
            continue
        if not caller.seen:
            return NOT_SEEN
        if not rule.attributes:
            return ""
        if caller.fixed_attributes is None:
            why = f"{operation} is not allowed: attributes that the caller may change do not count"
        elif rule.attributes.items() <= caller.fixed_attributes.items():
            return ""
        elif "attributes" not in why:
            why = f"{operation} is not allowed with these attributes"
    return why
