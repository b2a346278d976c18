"""The table [control]: what is valid, and what is said about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from device.config import loading
from device.config.operation_names import OPERATION_NAMES
from device.control.decoding import names
from device.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = '[room]\nurl = "wss://h"\n[control]\n'
ALLOWED = "allowed: " + ", ".join(f"'{each}'" for each in OPERATION_NAMES[:-1])


def write(folder: Path, text: str) -> Path:
    path = folder / "device.toml"
    path.write_text(HEAD + text)
    return path


def test_the_configuration_knows_each_operation() -> None:
    assert names() == tuple(sorted(OPERATION_NAMES))


def test_nobody_may_ask_by_default(tmp_path: Path) -> None:
    assert loading.load(write(tmp_path, "")).control.allow == []


@pytest.mark.parametrize(
    "text",
    (
        'allow = [{identity = "ops-*", operations = ["status", "logs"], attributes = {role = "operator"}}]\n',
        '[[control.allow]]\nidentity = "ops-*"\noperations = ["status", "logs"]\nattributes.role = "operator"\n',
    ),
)
def test_rules(tmp_path: Path, text: str) -> None:
    rule = {"identity": "ops-*", "operations": ["status", "logs"], "attributes": {"role": "operator"}}
    assert loading.load(write(tmp_path, text)).control.allow == [rule]


@pytest.mark.parametrize(
    ("rule", "why"),
    (
        ('{identity = "a", operations = ["stats"]}', f"rule 2: operations is not one of the allowed values; {ALLOWED}"),
        ('{identity = "a", operations = []}', "rule 2: operations must not be empty"),
        ('{identity = "a", operations = "status"}', "rule 2: operations must be a list"),
        ('{identity = "", operations = ["status"]}', "rule 2: identity must not be empty"),
        ('{identity = 7, operations = ["status"]}', "rule 2: identity must be text in quotes"),
        ('{identity = "a"}', "rule 2: operations is required"),
        ('{operations = ["status"]}', "rule 2: identity is required"),
        ('{identity = "a", operation = ["status"]}', "rule 2: there is no such key; did you mean operations?"),
        ('{identity = "a", operations = ["status"], attributes = {role = 1}}', "rule 2: attributes must be text"),
        ("1", "rule 2: must be a table"),
    ),
)
def test_what_is_wrong_with_a_rule_is_said(tmp_path: Path, rule: str, why: str) -> None:
    path = write(tmp_path, f'allow = [{{identity = "ops", operations = ["status"]}}, {rule}]\n')
    with pytest.raises(ConfigError) as caught:
        loading.load(path)
    found = [str(each) for each in caught.value.problems]
    assert any(each.startswith(f"{path}: control.allow: {why}") for each in found), found


def test_a_list_is_needed(tmp_path: Path) -> None:
    path = write(tmp_path, 'allow = "ops"\n')
    with pytest.raises(ConfigError) as caught:
        loading.load(path)
    assert [str(each) for each in caught.value.problems] == [f"{path}: control.allow: must be a list"]


def test_rules_from_the_environment_are_json(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    found = loading.loaded(path, {"DEVICE_CONTROL__ALLOW": '[{"identity": "x", "operations": ["status"]}]'})
    assert found.config.control.allow == [{"identity": "x", "operations": ["status"], "attributes": {}}]
    with pytest.raises(ConfigError, match="DEVICE_CONTROL__ALLOW: is not JSON; it must look like"):
        loading.loaded(path, {"DEVICE_CONTROL__ALLOW": "ops-*"})
