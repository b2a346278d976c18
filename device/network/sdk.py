"""Sets the SDK's proxy variables, which it reads at each connection."""

from __future__ import annotations

import os

from device.network.proxy import ProxyError, sdk_variables


def prepare_sdk(url: str) -> None:
    """Make the SDK use the same proxy for this URL as the rest of this package. Call it before each join.

    Only the native library sees the change: os.environ keeps the operator's values for the next call. Variables are
    emptied instead of removed, and none is added, because that would move memory which native threads may be reading.
    """
    try:
        variables = sdk_variables(url, os.environ)
    except ProxyError:
        return  # the probe has reported it
    for name, value in variables.items():
        os.putenv(name, value)
