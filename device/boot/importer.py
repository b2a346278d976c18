"""`livekit-device import-boot`: import the configuration from the boot partition before the service starts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from device.boot import card_log, mounts, source
from device.boot.content import Content, interpreted
from device.boot.validation import demand_usable
from device.config import writing
from device.config.places import DEFAULT_PATH
from device.config.stream_urls import CREDENTIAL
from device.errors import ConfigError, DeviceError, ExitCode
from device.redaction import redacted
from device.settings import PROXY_CREDENTIAL
from device.transaction import Recovery, TransactionError

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDERS = (Path("/boot/firmware"), Path("/boot"))
"""Mount points of the boot partition: in Raspberry Pi OS since bookworm, and in older releases."""
_STAYS = "the configuration of the device is unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders that may contain the file, and the files to write."""

    folders: Sequence[Path] = FOLDERS
    configuration: Path = DEFAULT_PATH
    mountinfo: Path = mounts.BOARDS_MOUNTINFO
    in_container: bool = False

    @property
    def credentials(self) -> Path:
        return self.configuration.parent / writing.CREDENTIALS

    def volatile(self) -> str:
        """Return the type of the file system if it loses the configuration at a restart; else empty."""
        found = mounts.parsed(self.mountinfo.read_text(errors="surrogateescape"))
        folder = PurePosixPath(self.configuration.parent.resolve())
        return mounts.volatile(found, folder, in_container=self.in_container)


def run(folders: Sequence[Path], configuration: Path) -> int:
    """Import the file in the folders, by default the boot partition; without a file, do nothing."""
    places = Places(
        folders=folders or FOLDERS, configuration=configuration.absolute(), in_container=mounts.in_container()
    )
    return import_boot(places)


def import_boot(places: Places) -> int:
    """Finish an interrupted change, then import. Returns 78 for an invalid file: the old state stays."""
    found = source.candidates(places.folders)
    try:
        if writing.finish(places.configuration) is Recovery.FINISHED:
            _print([f"{places.configuration}: an interrupted change was finished"])
    except TransactionError as error:
        _report(found, [f"Nothing was imported: an interrupted change cannot be finished: {error}"])
        return ExitCode.FAILED
    if len(found) > 1:
        names = " and ".join(str(path) for path in found)
        _report(found, [f"Nothing was imported; {_STAYS}.", f"- there are {names}; keep only one of them"])
        return ExitCode.CONFIG
    return _import(found[0], places) if found else ExitCode.OK


def _import(path: Path, places: Places) -> int:
    try:
        data = source.read(path)
        if source.is_remains(data):
            return _clear(path, [_remains(path)])
        content = interpreted(Path(path.name), data, target=places.configuration)
        demand_usable(Path(path.name), content, credentials=places.credentials)
        secrets = {} if content.secrets is None else dict.fromkeys(writing.SECRETS) | content.secrets
        if content.camera_url:
            secrets[CREDENTIAL] = f"{content.camera_url}\n"
        if content.proxy:
            secrets[PROXY_CREDENTIAL] = f"{content.proxy}\n"
        writing.write(places.configuration, content.config_text, secrets=secrets)
    except Exception as error:  # any error has to be in the log on the card  # noqa: BLE001
        refused = f"{path.name} was not imported; {_STAYS}."
        if writing.is_unfinished(places.configuration):
            refused = f"{path.name} was imported in part; the next start completes the import."
        _report([path], [refused, *_complaints(error)])
        return error.exit_code if isinstance(error, ConfigError) else ExitCode.FAILED
    done = f"{path.name} was imported into {places.configuration}{_credentials(content)}."
    if kind := places.volatile():
        why = f"The file stays here, because {places.configuration.parent} is lost at a restart ({kind})"
        _report([path], [done, f"{why}. It is imported at each start."])
        return ExitCode.OK
    return _clear(path, [done, "The file was then overwritten and removed, because it may contain secrets."])


def _clear(path: Path, lines: list[str]) -> int:
    """Log first: without the file, the next start would not log the result."""
    problems: list[str] = []
    try:
        with mounts.writable(path.parent) as after:
            problems += _logged(path.parent, lines)
            try:
                source.erase(path)
            except source.SourceFileError as error:
                lines = [*lines[:1], str(error)]
                _logged(path.parent, lines)
                raise
        problems += after
    except DeviceError as error:
        _print([*lines[:1], str(error), *problems])
        return ExitCode.FAILED
    _print([*lines, *problems])
    return ExitCode.OK


def _logged(folder: Path, lines: Sequence[str]) -> list[str]:
    """Write the log; return why it could not be written: secrets are removed from a full partition, too."""
    try:
        card_log.write(folder, card_log.log_text(lines))
    except card_log.CardLogError as error:
        return [str(error)]
    return []


def _report(found: Sequence[Path], lines: list[str]) -> None:
    """Write the lines to the journal, and to the log in the folder of each file if that log differs."""
    _print(lines)
    text = card_log.log_text(lines)
    for folder in dict.fromkeys(path.parent for path in found):
        if card_log.is_current(folder, text):
            continue
        try:
            with mounts.writable(folder) as problems:
                card_log.write(folder, text)
            _print(problems)
        except DeviceError as error:
            _print([str(error)])


def _complaints(error: Exception) -> list[str]:
    if isinstance(error, ConfigError):
        return [f"- {problem}" for problem in error.problems]
    if isinstance(error, DeviceError):
        return [f"- {error}"]
    return [f"- an internal error ({type(error).__name__}); please report it"]


def _credentials(content: Content) -> str:
    if content.secrets is None:
        return "; the credentials are unchanged"
    return f", with the credentials {', '.join(content.secrets)}" if content.secrets else ""


def _remains(path: Path) -> str:
    return (
        f"{path.name} contained only zeros, and was removed. Either its import was complete and the removal was "
        "interrupted, or the card was removed before the file was written: then write it again, and eject the card."
    )


def _print(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{redacted(line)}\n" for line in lines))
    sys.stdout.flush()
