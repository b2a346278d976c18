"""docs/install-boot.md: the import accepts its examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device.boot.content import ALLOWED
from device.boot.source import MAX_BYTES, NAMES
from tests.support.card import Card

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs/install-boot.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def cells() -> Iterator[str]:
    for line in PAGE.splitlines():
        if line.startswith("| "):
            yield line


@pytest.mark.parametrize("block", blocks("toml"))
def test_each_configuration_on_the_page_is_imported(tmp_path: Path, block: str) -> None:
    card = Card.of(tmp_path)
    card.put(block)
    assert card.run() == 0, card.log()
    assert {"device.toml", "credentials/api_key", "credentials/api_secret"} == set(card.state())


def test_the_page_has_the_blocks_of_a_fresh_card() -> None:
    assert len(blocks("toml")) == 2
    package, network, repository = blocks("yaml")
    assert package.startswith("#cloud-config\n")
    assert repository.startswith("#cloud-config\n")
    assert "/boot/firmware/livekit-device_*.deb" in package
    assert "/boot/firmware/livekit-device.sources" in repository
    assert network.startswith("network:\n  version: 2\n")
    assert "\t" not in package + network + repository


def test_names_tables_and_size_on_the_page_are_those_of_the_code() -> None:
    rows = {line.split("|")[1].strip(): line for line in cells()}
    assert all(f"`{name}`" in rows["name"] for name in NAMES)
    assert re.findall(r"`(\w+)`", rows["tables"]) == list(ALLOWED)
    assert f"{MAX_BYTES >> 10} KiB" in rows["text"]
