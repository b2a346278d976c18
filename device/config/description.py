"""The effective configuration for users: each key with its value, where it is from, and what a change needs.

Secrets are masked. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.config.diff import entries
from device.config.effective import Secret
from device.config.layer import LayerKind, origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from device.config.effective import Config
    from device.config.layer import Layer

MASK = "********"
_DEFAULT = "default"


def described(config: Config, layers: Sequence[Layer]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each key with its value, the kind of its layer, the file or variable, and what a change needs."""
    for name, key, value in entries(config):
        layer = origin(layers, tuple(name.split(".")))
        yield (
            name,
            {
                "value": masked(value) if key.secret else plain(value),
                "layer": _DEFAULT if layer is None else layer.kind.value,
                "place": None if layer is None else _place(layer, name),
                "needs": key.needs.value,
                "remote": key.remote,
            },
        )


def _place(layer: Layer, key: str) -> str | None:
    """Return the file, or the variable."""
    if layer.kind is LayerKind.ENVIRONMENT:
        return layer.variable(tuple(key.split(".")))
    return str(layer.path) if layer.path else None


def plain(value: object) -> Any:
    """Return a value as JSON and TOML have it. Masks secrets."""
    if isinstance(value, Secret):
        return masked(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def masked(value: object) -> str:
    text = value.get_secret_value() if isinstance(value, Secret) else str(value)
    return MASK if text else ""
