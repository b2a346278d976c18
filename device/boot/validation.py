"""Validates a configuration together with its credentials, with the daemon's code, before files are replaced."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from device.config.stream_urls import CREDENTIAL, missing_urls
from device.errors import ConfigError, CredentialError, Problem
from device.secret_file import read_secret
from device.telemetry.attributes import Attributes
from device.tokens.endpoint import read_headers
from device.tokens.selection import NO_TOKEN_SOURCE, Endpoint, TokenFile, secret_files, select

if TYPE_CHECKING:
    from device.boot.content import Content


def demand_usable(path: Path, content: Content, *, credentials: Path) -> None:
    """Raise ConfigError if the daemon cannot use this: no token source, or one that contradicts the file.

    :param path: the name of the file in texts
    :param credentials: the folder with the present credentials, for a file without credentials
    """
    given = credentials / CREDENTIAL
    if missing := missing_urls(path, content.config, str(given) if given.exists() else ""):
        raise ConfigError(*missing)
    with tempfile.TemporaryDirectory(prefix="livekit-device-") as name:  # with mode 0700
        folder = Path(name)
        for secret, text in (content.secrets or {}).items():
            (folder / secret).write_text(text)
        looked_into = credentials if content.secrets is None else folder
        try:
            chosen = select(content.config, attributes=Attributes(), directory=looked_into)
            if isinstance(chosen, TokenFile):
                chosen.read()
            elif isinstance(chosen, Endpoint):
                if chosen.headers_file:
                    read_headers(chosen.headers_file)
            else:
                for each in secret_files(chosen):
                    read_secret(each)
        except ConfigError as error:
            raise ConfigError(*(_placed(path, folder, str(each)) for each in error.problems)) from None
        except CredentialError as error:
            raise ConfigError(_placed(path, folder, str(error))) from None


def _placed(path: Path, folder: Path, text: str) -> Problem:
    """Name the key in the user's file, not the file in the temporary folder."""
    place, _, message = text.replace(f"{folder}/", "credentials.").partition(": ")
    message = message.replace(NO_TOKEN_SOURCE, _NO_TOKEN_SOURCE)
    return Problem(f"{path}: {place}", message)


_NO_TOKEN_SOURCE = "no token source is set, and the device has none; set token, endpoint, or api_key with api_secret"  # noqa: S105 - a text
