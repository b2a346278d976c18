"""The SDK's environment: it decides on its proxy by variables that it reads at each connection."""

from __future__ import annotations

import os

from device.network.proxy import ProxyError, sdk_variables


def prepare_sdk(url: str) -> None:
    """Let the SDK connect to this URL as the rest of this package does; to be called before each join.

    Only the native library sees it: os.environ keeps what the operator has set, for the next decision. Variables are
    emptied rather than removed, and none is added: that would move the block which native threads may be reading.
    """
    try:
        variables = sdk_variables(url, os.environ)
    except ProxyError:
        return  # the probe has said so
    for name, value in variables.items():
        os.putenv(name, value)
