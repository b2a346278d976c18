"""Configurations from their tables, without files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.config import loading, schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.config.effective import Config


def config_of(tables: Mapping[str, Any]) -> Config:
    """Return the configuration of these tables. Raises pydantic's ValidationError."""
    return loading.effective(schema.Config.model_validate(tables))
