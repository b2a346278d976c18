"""LiveKit's standard token endpoint, as a client."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from device.errors import CredentialError, UnreachableError
from device.network.answer import redirected
from device.network.http import http_session, read_at_most
from device.redaction import hide
from device.secret_file import read_text
from device.tokens.join_token import IdentityHolder, JoinToken, TokenRequest, checked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from device.network.probe import ProbeResult
    from device.network.resolver import Resolver

_TIMEOUT_S = 10.0
_MAX_REPLY_BYTES = 64 << 10
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")  # RFC 9110, section 5
# How an endpoint says that a client may not choose its own identity.
_REFUSED_FIELDS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY})


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """Asks an HTTP service for a token before each join."""

    wanted: TokenRequest
    url: str = field(repr=False)
    headers_file: Path | None = field(default=None)
    _another: str = field(default="", init=False)  # the identity that was granted instead of a contested one
    _resolver: Resolver | None = field(default=None, init=False)

    async def obtain(self, at: ProbeResult | None = None, resolver: Resolver | None = None) -> JoinToken:
        self._resolver = resolver
        wanted = replace(self.wanted, identity=self._another) if self._another else self.wanted
        return await self._obtain(wanted, at)

    async def identity_holder(self, at: ProbeResult, resolver: Resolver) -> IdentityHolder:
        """Ask for another identity: where it is granted, nobody has that, and it is ours until the next start."""
        self._resolver = resolver
        ours = self.wanted.derived_identity
        another = ours if self.wanted.identity not in ("", ours) else f"{ours}-{secrets.token_hex(2)}"
        join_token = await self._obtain(replace(self.wanted, identity=another), at)
        self._another = join_token.grants.identity
        return IdentityHolder.ABSENT

    async def _obtain(self, wanted: TokenRequest, at: ProbeResult | None) -> JoinToken:
        headers = read_headers(self.headers_file) if self.headers_file else {}
        named = _without_empty(
            room_name=wanted.room,
            participant_name=wanted.display_name,
            participant_identity=wanted.identity,
        )
        identified = {"participant_identity": wanted.derived_identity} | named
        described = identified | _without_empty(participant_attributes=wanted.attributes.snapshot())
        # An endpoint may refuse fields: what the configuration does not name is then left out, bit by bit.
        status, reply = await self._post(described, headers)
        for fewer, before in ((identified, described), (named, identified)):
            if status in _REFUSED_FIELDS and fewer != before:
                status, reply = await self._post(fewer, headers)
        if status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise CredentialError(f"{self._origin}: answered HTTP {status}{_hint(status, named)}")
        return checked(
            wanted,
            url=_text(reply, "server_url", self._origin, default=at.url if at else wanted.urls[0]),
            token=_text(reply, "participant_token", self._origin),
            origin=self._origin,
        )

    @property
    def _origin(self) -> str:
        # A query may hold a key, and so may what stands before an @.
        parts = urlsplit(self.url)
        return f"token endpoint {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    async def _post(self, body: Mapping[str, object], headers: Mapping[str, str]) -> tuple[int, object]:
        """Return status and decoded reply. Bodies stay out of every message: they hold tokens."""
        import aiohttp

        try:
            async with (
                http_session(self._resolver, within_s=_TIMEOUT_S) as session,
                session.post(self.url, json=body, headers=headers, allow_redirects=False) as response,
            ):
                raw = await read_at_most(response, _MAX_REPLY_BYTES)
                status, location = response.status, response.headers.get("Location")
        except TimeoutError:
            raise CredentialError(f"{self._origin}: no answer within {_TIMEOUT_S:.0f} s") from None
        except UnreachableError as error:
            raise CredentialError(f"{self._origin}: {error}") from None
        except (aiohttp.ClientError, UnicodeError) as error:
            raise CredentialError(f"{self._origin}: cannot be reached ({type(error).__name__})") from None
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            said = redirected(self.url, location, key="credentials.endpoint")
            raise CredentialError(f"{self._origin}: answered HTTP {status}, {said}")
        try:
            return status, json.loads(raw)
        except (ValueError, RecursionError):
            return status, None


def read_headers(path: Path) -> dict[str, str]:
    """Read `Name: value` lines. Raises CredentialError that names file and line, not what stands there."""
    lines = read_text(path, "a file of headers").splitlines()
    headers = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if (match := _HEADER.fullmatch(line.strip())) is None:
            raise CredentialError(f"{path}:{number}: is not a header; allowed: lines of the form `Name: value`")
        headers[match[1]] = match[2].strip()
        hide(headers[match[1]])
    return headers


def _text(reply: object, key: str, origin: str, default: str = "") -> str:
    value: Any = reply.get(key) if isinstance(reply, dict) else None
    if value is None and default:
        return default
    if not isinstance(value, str) or not value:
        raise CredentialError(
            f"{origin}: the answer holds no {key}; expected is JSON with server_url and participant_token"
        )
    return value


def _hint(status: int, sent: Mapping[str, object]) -> str:
    if status == HTTPStatus.UNAUTHORIZED:
        return "; look at credentials.endpoint_headers_file"
    if status in _REFUSED_FIELDS and sent:
        return f"; it may not allow a device to choose {', '.join(sent)}"
    return ""


def _without_empty(**fields: object) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value}
