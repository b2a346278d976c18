"""The table [network]: how the server is reached. What is empty is left to the environment and the system."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from device import proxy_url
from device.config.marks import PROCESS_RESTART, REJOIN
from device.config.table import Table
from device.config.values import FilePath  # noqa: TC001 - pydantic reads the annotations

_MAX_CHARACTERS = 2048
_HOSTS = re.compile(r"[\w.:*/\[\], -]*")


def _proxy(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if text:
        proxy_url.parsed(text)
    return SecretStr(text)


def _hosts(value: str) -> str:
    if not _HOSTS.fullmatch(value):
        raise ValueError("must be hosts, domains or networks with commas between them, such as .example,10.0.0.0/8")
    return value


class Network(Table):
    """How the server is reached. Environment: HTTPS_PROXY, HTTP_PROXY, NO_PROXY, SSL_CERT_FILE."""

    proxy: Annotated[SecretStr, AfterValidator(_proxy), REJOIN] = SecretStr("")
    proxy_file: Annotated[FilePath, REJOIN] = ""
    no_proxy: Annotated[str, AfterValidator(_hosts), REJOIN] = Field(default="", max_length=_MAX_CHARACTERS)
    ca_file: Annotated[FilePath, PROCESS_RESTART] = ""  # the SDK reads it where no later value can reach it safely
    relay: Annotated[Literal["auto", "always"], REJOIN] = "auto"

    @model_validator(mode="after")
    def _one_proxy(self) -> Self:
        if self.proxy.get_secret_value() and self.proxy_file:
            raise ValueError("proxy and proxy_file are both set; allowed is one of them")
        return self
