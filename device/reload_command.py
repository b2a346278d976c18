"""`livekit-device reload`: validates the files, asks the running service to reload, and prints what became of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from device.check import sandbox
from device.config.diff import diff
from device.errors import ConfigError, DeviceError, ExitCode, Problem
from device.reload.files import Outcome, ReloadFiles, Result
from device.settings import SERVICE_CREDENTIALS, load
from device.show_config import changes_text
from device.telemetry import running_config
from device.telemetry.attributes import Attributes
from device.unit_directories import SERVICE_RUNTIME

_LOADED_CREDENTIALS = Path("/run/credentials") / sandbox.UNIT  # systemd.exec(5), $CREDENTIALS_DIRECTORY
_LOADED_PREFIX = "livekit_"  # LoadCredential=livekit:FOLDER
_MAX_CREDENTIAL_BYTES = 1 << 20
_RELOAD_S, _LOOK_S, _UNDECIDED_S = 100.0, 0.25, 30.0


class ReloadError(DeviceError):
    """The service could not be asked."""


def validate(config: Path | None, place: sandbox.Sandbox) -> int:
    """Load the files as the service would, and print what a reload changes. Raises ConfigError with every problem."""
    settings = load(config, Attributes(), temporary=running_config.temporary())
    if hidden := place.hidden_files(settings.config):
        raise ConfigError(*(Problem(str(settings.path), each) for each in hidden))
    _say(f"{settings.path}: valid")
    if (running := running_config.read(settings.config)) is not None:
        _say(changes_text(diff(running, settings.config)).rstrip())
    return ExitCode.OK


def run(config: Path | None, *, revert_after_s: float | None, validate_only: bool) -> int:
    """Return 0 if the files are in effect, 1 if they are not, 78 if they are invalid or the daemon refuses them."""
    place = sandbox.here()
    if place.inside or (validate_only and (os.geteuid() or not place.settings)):
        return validate(config, place)
    if not place.settings:
        raise ReloadError(
            "there is no livekit-device.service here; without systemd a daemon reads its configuration when it starts"
        )
    if os.geteuid() != 0:
        raise ReloadError("only root may reload the service: sudo livekit-device reload")
    code = sandbox.run_inside(place, config, ("reload", "--validate"))
    if code or validate_only:
        return code or ExitCode.OK
    if credentials_changed():
        return _restart(revert_after_s)
    return _reload(ReloadFiles(SERVICE_RUNTIME), revert_after_s)


def credentials_changed(folder: Path = SERVICE_CREDENTIALS, loaded: Path = _LOADED_CREDENTIALS) -> bool:
    """Return whether the files with credentials differ from those that systemd has passed to the running service."""
    if not loaded.is_dir():
        return False
    ours = {f"{_LOADED_PREFIX}{path.name}": _content(path) for path in _files(folder)}
    theirs = {path.name: _content(path) for path in _files(loaded) if path.name.startswith(_LOADED_PREFIX)}
    return ours != theirs


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_CREDENTIAL_BYTES)


def _restart(revert_after_s: float | None) -> int:
    if revert_after_s is not None:
        raise ReloadError(
            f"a file in {SERVICE_CREDENTIALS} has changed, which needs a restart, which is not reverted; "
            "reload without --revert-after"
        )
    _say(f"A file in {SERVICE_CREDENTIALS} has changed, which systemd reads at the start only: the service restarts.")
    _systemctl("restart")
    _say("restarted; `systemctl status livekit-device` has its state")
    return ExitCode.OK


def _reload(files: ReloadFiles, revert_after_s: float | None) -> int:
    before = files.result()
    if revert_after_s is not None:
        try:
            files.ask(revert_after_s=revert_after_s)
        except OSError as error:
            why = f"{SERVICE_RUNTIME} cannot be written ({error.strerror}): does the service run?"
            raise ReloadError(why) from None
    try:
        _systemctl("reload")
    finally:
        files.withdraw()
    result = files.result()
    if result is None or (before is not None and result.number == before.number):
        raise ReloadError("the service has not reported what became of the reload: journalctl -u livekit-device")
    _show(result)
    if not result.final and revert_after_s is not None:
        result = _decided(files, result, within_s=revert_after_s + _UNDECIDED_S)
    return {Outcome.REFUSED.value: ExitCode.CONFIG, Outcome.REVERTED.value: ExitCode.FAILED}.get(
        result.outcome, ExitCode.OK
    )


def _decided(files: ReloadFiles, result: Result, *, within_s: float) -> Result:
    """Wait until it is decided whether the reload is reverted, and print that."""
    _say("Waiting until the device is live; this command may be ended, the service decides by itself.")
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at:
        latest = files.result()
        if latest is not None and latest.number != result.number:
            _show(latest)
            return latest
        time.sleep(_LOOK_S)
    _say("not decided yet: the server of the configuration before does not answer either")
    return result


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _show(result: Result) -> None:
    _say(f"{result.outcome}: {result.text}")
    for each in result.problems:
        _say(f"  {each}")


def _systemctl(verb: str) -> None:
    command = ("systemctl", verb, sandbox.UNIT)
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_RELOAD_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReloadError(f"`{' '.join(command)}` does not finish ({type(error).__name__})") from None
    if done.returncode:
        raise ReloadError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.returncode}")
