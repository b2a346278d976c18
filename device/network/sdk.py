"""Sets the variables of the environment that the SDK reads at each connection."""

from __future__ import annotations

import contextlib
import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from device.network import rules
from device.network.proxy import SDK_VARIABLES, ProxyError, sdk_variables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device.network.dial import AddressResolver
    from device.network.probe import ProbeResult

# With one of these the SDK trusts only what is there (rustls-native-certs).
_CA_FILE, _CA_FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"


def prepare_process(ca_file: str) -> None:
    """Make room for the proxy's variables, and name the CA certificates. Call it before the SDK is loaded.

    A variable that is added later would move memory which native threads may be reading. os.environ keeps the
    operator's values, for workers and for the next join.
    """
    for name in SDK_VARIABLES:
        os.putenv(name, os.environ.get(name, ""))
    if ca_file:
        os.putenv(_CA_FILE, ca_file)
        os.unsetenv(_CA_FOLDER)


@asynccontextmanager
async def sdk_connects_to(server: ProbeResult, resolver: AddressResolver) -> AsyncIterator[None]:
    """Let the SDK reach this server like the probe did, for as long as the context lasts. Use it around each Room.

    Only the native library sees the variables. They are emptied, not removed.
    """
    async with AsyncExitStack() as stack:
        try:
            variables = sdk_variables(server.url, rules.settings())
        except ProxyError:
            variables = {}  # the probe has reported it
        if server.detour:
            from device.network.tunnel import tunnel  # a device whose network is sound does not need it

            with contextlib.suppress(OSError):  # without a loopback interface the SDK is on its own
                variables = dict.fromkeys(SDK_VARIABLES, await stack.enter_async_context(tunnel(server.url, resolver)))
        _put(variables)
        yield


def _put(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        os.putenv(name, value)
