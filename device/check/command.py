"""`livekit-device check`, from the file to the decoded picture."""

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING, Any

from device import log, native_output
from device.check import hardware, legs, media, network, speaker
from device.check.programs import missing_programs
from device.check.report import Report, report_failures
from device.config import loading as config_file
from device.config.stream_urls import missing_urls, with_urls
from device.config.streams import streams_of
from device.errors import ConfigError, CredentialError, ExitCode
from device.identity import keep_identity
from device.network import rules
from device.network.resolver import Resolver
from device.network.sdk import prepare_process
from device.settings import credentials_directory, find_camera_url_file, network_rules
from device.telemetry import state_file
from device.telemetry.room_state import RoomState
from device.telemetry.status import first_attributes
from device.tokens import selection as credentials
from device.tokens.expiry import EXPIRED, notice_of
from device.tokens.grants import NO_DATA
from device.tokens.selection import ApiKey, Endpoint, TokenFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from device.check.sandbox import Sandbox
    from device.config.effective import Config
    from device.config.loading import Loaded
    from device.errors import Problem
    from device.network.probe import ProbeResult
    from device.tokens.join_token import JoinToken

_TOKEN_SOURCES = {TokenFile: "a ready token", Endpoint: "the token endpoint", ApiKey: "minted here"}


async def run(argument: Path | None, sandbox: Sandbox) -> int:
    """Run the steps and print their rows; return 0 only if no step failed."""
    # What native libraries write belongs to no row, and may contain a token; the rest of this process writes as before.
    sys.stderr = native_output.relay()
    report = Report()
    try:
        await _steps(report, config_file.find(argument), sandbox)
    except (BaseExceptionGroup, Exception) as error:  # an internal error becomes a row as well  # noqa: BLE001
        report_failures(report, "check", error)
    return ExitCode.FAILED if report.failed else ExitCode.OK


async def _steps(report: Report, path: Path, sandbox: Sandbox) -> None:
    keep_identity()  # the service would do that at its start
    if (found := _load(report, path, sandbox)) is None:
        return
    config = found.config
    hidden = sandbox.hidden_files(config)
    for each in hidden:
        (report.bad if sandbox.inside else report.warn)("sandbox", each)
    # Discard the log: the rows report everything.
    log.configure(level="error", format="auto", stream=io.StringIO())
    token_source = _select(report, config, path)
    if token_source is None:
        return
    _warn(report, found.warnings, token_source)
    rules.use(network_rules(config.network, credentials_directory()))
    prepare_process(config.network.ca_file)
    service = state_file.read()
    _report_service(report, service)
    for each in missing_programs(config.commands):
        report.warn("commands", each)
    with report.busy("devices", "querying the libraries"):
        hardware.check(report, with_urls(config, find_camera_url_file(credentials_directory())), service)
    await speaker.check(report, config, service)
    resolver = Resolver()
    with report.busy("server", "probing"):
        probed_servers = [probed for url in config.room.url if (probed := await network.reach(report, url, resolver))]
    if hidden and sandbox.inside:
        report.skipped("room", "the service does not see a file, see above")
        return
    with report.busy("grants", "obtaining a token"):
        join_token = await obtain_token(
            report, config, token_source, probed_servers[0] if probed_servers else None, resolver
        )
    if join_token is not None and join_token.url not in config.room.url:  # the token endpoint names another server
        with report.busy("server", "probing"):
            probed = await network.reach(report, join_token.url, resolver)
        probed_servers = [probed] if probed else []
    if not probed_servers or join_token is None:
        report.skipped("room", "there is no server or no token, see above")
        return
    with report.busy("token", "asking the server"):
        valid = await network.validate(report, join_token, resolver)
    if not valid:
        return
    if isinstance(token_source, ApiKey):
        await _media(report, config, token_source, probed_servers[0], resolver)
    else:
        report.skipped(
            "room",
            f"joining as {join_token.grants.identity} would disconnect a running device; no other token can be minted",
        )


async def _media(report: Report, config: Config, api_key: ApiKey, at: ProbeResult, resolver: Resolver) -> None:
    relay_only = config.network.relay == "always"
    with report.busy("websocket", "joining and listening"):
        token = api_key.viewer_token(at=at, ttl=media.TTL, data=False, hidden=True)
        offered = await legs.media(report, at.url, token, resolver, relay_only=relay_only)
    with report.busy("room", "publishing and decoding"):
        await media.check(report, config, api_key, at, resolver, offered=offered)


def _load(report: Report, path: Path, sandbox: Sandbox) -> Loaded | None:
    if sandbox.inside and (text := sandbox.hidden(path)):
        report.bad("file", f"{path}: {text}, or leave the sandbox with --no-sandbox")
        return None
    try:
        found = config_file.loaded(path)
        if problems := missing_urls(path, found.config, find_camera_url_file(credentials_directory())):
            raise ConfigError(*problems)  # noqa: TRY301 - reported like all others
    except ConfigError as error:
        whole_file = [problem for problem in error.problems if problem.place == str(path)]
        if not whole_file:
            report.good("file", str(path))
        for problem in error.problems:
            report.bad("file" if problem in whole_file else "values", str(problem))
        return None
    files = ", ".join(str(layer.path) for layer in found.layers if layer.path)
    report.good("file", f"{files}; {sandbox.note()}")
    report.good("values", ", ".join(f"{each.label} {each.table.source}" for each in streams_of(found.config)))
    return found


def _select(report: Report, config: Config, path: Path) -> TokenFile | Endpoint | ApiKey | None:
    try:
        token_source = credentials.select(config, attributes=first_attributes(), directory=credentials_directory())
    except ConfigError as error:
        for problem in error.problems:
            report.bad("credentials", f"{path}: {problem}")
        return None
    report.good("credentials", _TOKEN_SOURCES[type(token_source)])
    return token_source


def _warn(report: Report, problems: Sequence[Problem], token_source: TokenFile | Endpoint | ApiKey) -> None:
    for problem in (*problems, *credentials.warnings(token_source)):
        report.warn("values", str(problem))
    if credentials.identity_may_collide(token_source):
        report.warn(
            "identity",
            f"only the host's name distinguishes {token_source.wanted.derived_identity} from other devices",
            hint="set room.identity",
        )


def _report_service(report: Report, state: dict[str, Any]) -> None:
    """Report the room state of the running service, such as an identity conflict."""
    if not state:
        return
    room = str(state.get("room", ""))
    if room == RoomState.LIVE.value:
        report.good("service", f"runs (pid {state['pid']}), live in its room")
    else:
        report.bad("service", f"runs (pid {state['pid']}), its room: {room}", hint="journalctl -u livekit-device")


async def obtain_token(
    report: Report,
    config: Config,
    token_source: TokenFile | Endpoint | ApiKey,
    at: ProbeResult | None,
    resolver: Resolver,
) -> JoinToken | None:
    try:
        join_token = await token_source.obtain(at, resolver)
    except CredentialError as error:
        report.bad("grants", str(error))
        return None
    sources = dict.fromkeys(each.kind for each in config.streams)
    if join_token.grants.hidden:
        report.bad(
            "grants", "the token is hidden (video.hidden): viewers would not see this device", hint="get another one"
        )
        return None
    if missing := join_token.grants.missing_for(tuple(sources)):
        for each in missing:
            report.bad("grants", f"the token is not enough: {each}")
        return None
    server_now_s = at.server_now_s() if at else None
    notice = notice_of(join_token.grants.expires_at, time.time() if server_now_s is None else server_now_s)
    if notice.level == EXPIRED:
        report.bad("grants", notice.text)
        return None
    report.good("grants", f"{join_token.grants.identity} may publish in {join_token.grants.room}")
    if isinstance(token_source, TokenFile):
        (report.warn if notice.urgent else report.good)("expiry", notice.text)
    if config.control.allow and not join_token.grants.can_publish_data:
        report.bad("control", f"participants of the room get no answer: {NO_DATA}", hint="get a token that does")
    if not join_token.grants.can_update_own_metadata:
        report.skipped("attributes", "the token lacks canUpdateOwnMetadata; viewers will not see the device's state")
    return join_token
