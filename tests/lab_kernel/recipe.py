"""The root that the lab's kernel starts: the lab's own, with Debian's kernel and v4l2loopback compiled for it."""

from tests.lab.recipe import RECIPE, Recipe

KERNEL = Recipe(
    suite="trixie",
    debian=("linux-image-amd64", "linux-headers-amd64", "v4l2loopback-dkms", "busybox-static", "kmod"),
    pypi=(),
    steps=1,
    base=RECIPE,
)
