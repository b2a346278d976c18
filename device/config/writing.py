"""Writes the configuration and the files with secrets as one change: after a crash all of them are old or new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device import transaction
from device.transaction import Recovery

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CREDENTIALS = "credentials"
"""The folder beside the configuration that the unit's LoadCredential= names."""
SECRETS = ("token", "api_key", "api_secret", "endpoint_headers")
"""The files in it, as `device.tokens.selection` reads them."""
FILE_MODE, SECRET_MODE = 0o644, 0o600
_FOLDER_MODE, _SECRETS_MODE = 0o755, 0o700
# livekit-device-import.service starts if this is left in /etc/livekit-device.
_STAGING = ".transaction"


def write(configuration: Path, text: str, *, secrets: Mapping[str, str | None], mode: int = FILE_MODE) -> None:
    """Replace the configuration and each file in `secrets`, or remove a file whose content is None.

    Creates the folders, but not the parent of the configuration's folder.

    :param mode: the mode of the configuration; the files with secrets get 0600
    :raises OSError: a folder cannot be created; no file has changed
    :raises TransactionError: no file has changed, or `is_unfinished` and `finish` has to complete the change
    """
    folder = configuration.parent
    credentials = folder / CREDENTIALS
    for each, folder_mode in ((folder, _FOLDER_MODE), (credentials, _SECRETS_MODE)):
        if not each.is_dir():
            each.mkdir()
            each.chmod(folder_mode)  # independent of the umask
            transaction.sync_folder(each.parent)
    files: dict[Path, bytes | None] = {configuration: text.encode()}
    files |= {credentials / name: None if content is None else content.encode() for name, content in secrets.items()}
    modes = dict.fromkeys(files, SECRET_MODE) | {configuration: mode}
    transaction.replace_all(files, modes=modes, staging=folder / _STAGING)


def finish(configuration: Path) -> Recovery:
    """Finish or undo an interrupted change. Raises TransactionError if it cannot be finished now."""
    folder = configuration.parent
    return transaction.recover(folder / _STAGING) if folder.is_dir() else Recovery.NOTHING


def is_unfinished(configuration: Path) -> bool:
    """Return whether an interrupted change waits for `finish`."""
    return transaction.is_committed(configuration.parent / _STAGING)
