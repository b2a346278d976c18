"""The Debian roots that packages are installed into: as small as Debian comes, and one with our dependencies."""

import re
from pathlib import Path

from tests.lab.recipe import Recipe
from tests.lab.root import built_root

CHECKOUT = Path(__file__).parents[2]
_ALTERNATIVES = re.compile(r"\s*\|.*")
_VERSION = re.compile(r"\s*\(.*?\)")

# debootstrap's minbase, PID 1, and what `apt` needs for repositories at https.
BARE = Recipe(suite="trixie", debian=("systemd", "systemd-sysv", "dbus", "ca-certificates"), pypi=(), steps=1)


def dependencies(control: str) -> tuple[str, ...]:
    """Return the names of the packages that a control file's `Depends:` names, the first of alternatives."""
    control = re.sub(r"^#.*\n", "", control, flags=re.MULTILINE)
    field = re.search(r"^Depends:((?:\n?[ ].*)+)", control, re.MULTILINE)
    assert field, "debian/control has no Depends"
    entries = (_ALTERNATIVES.sub("", _VERSION.sub("", each)).strip() for each in field[1].split(","))
    return tuple(sorted({each for each in entries if each and not each.startswith("$")}))


def with_dependencies() -> Recipe:
    """Return the recipe of a machine that has all that the package needs, as most have when it is upgraded."""
    needed = dependencies((CHECKOUT / "debian/control").read_text())
    return Recipe(suite=BARE.suite, debian=needed, pypi=(), steps=1, base=BARE)


def with_cloud_init() -> Recipe:
    """Return the recipe of a machine that sets itself up at its first start, as Raspberry Pi OS does."""
    # cloud-init reports errors without iproute2 and ssh's keys. No ssh server: it would listen on the host's network.
    parts = ("cloud-init", "iproute2", "netplan.io", "openssh-client")
    return Recipe(suite=BARE.suite, debian=parts, pypi=(), steps=1, base=with_dependencies())


if __name__ == "__main__":
    for each in (BARE, with_dependencies(), with_cloud_init()):
        print(built_root(each))
