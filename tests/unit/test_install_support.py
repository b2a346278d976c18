"""What the install test reads from our own documents and from the packaging."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from debian.places import CHECKOUT
from tests.install import document
from tests.install.packages import next_version
from tests.install.recipes import BARE, dependencies, with_cloud_init, with_dependencies

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """# Title

## First

```sh
make this     # a remark
# a comment of the block
sudo one \\
    two
```

```toml
[room]
```

### Second

```sh
three
```
"""


@pytest.fixture(autouse=True)
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    monkeypatch.setattr(document, "CHECKOUT", tmp_path)


def test_commands_are_those_of_one_section_without_remarks_and_comments() -> None:
    assert document.commands("page.md", "First") == ["make this", "sudo one     two"]
    assert document.commands("page.md", "Second") == ["three"]


def test_blocks_are_of_one_language() -> None:
    assert document.blocks("page.md", "First", "toml") == ["[room]\n"]
    assert document.blocks("page.md", "Second", "toml") == []


def test_dependencies_are_names_without_versions_and_alternatives() -> None:
    control = (
        "Package: x\nDepends:\n ${misc:Depends},\n a | b,\n# a comment\n c (>= 1:2),\n c (<< 3)\nRecommends:\n d\n"
    )
    assert dependencies(control) == ("a", "c")
    assert {"python3", "python3-av", "systemd"} <= set(dependencies((CHECKOUT / "debian/control").read_text()))


def test_each_root_is_added_to_the_one_before_it_and_has_a_name_of_its_own() -> None:
    ready, cloud = with_dependencies(), with_cloud_init()
    assert ready.base == BARE
    assert cloud.base == ready
    assert len({BARE.digest, ready.digest, cloud.digest}) == 3


def test_the_next_version_differs_in_its_last_number() -> None:
    assert next_version("0.1.9") == "0.1.10"
