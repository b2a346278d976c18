"""A client of LiveKit's standard token endpoint."""

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
# The statuses with which an endpoint refuses fields of the request.
_REFUSED_FIELDS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY})


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """Requests a token from an HTTP service before each join."""

    wanted: TokenRequest
    url: str = field(repr=False)
    headers_file: Path | None = field(default=None)
    _granted_identity: str = field(default="", init=False)  # replaces an identity that another participant uses
    _resolver: Resolver | None = field(default=None, init=False)

    async def obtain(self, at: ProbeResult | None = None, resolver: Resolver | None = None) -> JoinToken:
        self._resolver = resolver
        wanted = replace(self.wanted, identity=self._granted_identity) if self._granted_identity else self.wanted
        return await self._obtain(wanted, at)

    async def identity_holder(self, at: ProbeResult, resolver: Resolver) -> IdentityHolder:
        """Request another identity. If it is granted, no other participant uses it, and we keep it until we exit."""
        self._resolver = resolver
        ours = self.wanted.derived_identity
        another = ours if self.wanted.identity not in ("", ours) else f"{ours}-{secrets.token_hex(2)}"
        join_token = await self._obtain(replace(self.wanted, identity=another), at)
        self._granted_identity = join_token.grants.identity
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
        # An endpoint may refuse fields. Retry without those that the configuration does not set.
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
        # The query and the userinfo may contain secrets.
        parts = urlsplit(self.url)
        return f"token endpoint {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    async def _post(self, body: Mapping[str, object], headers: Mapping[str, str]) -> tuple[int, object]:
        """Return status and decoded reply. No error text contains a body, because it may contain a token."""
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
            text = redirected(self.url, location, key="credentials.endpoint")
            raise CredentialError(f"{self._origin}: answered HTTP {status}, {text}")
        try:
            return status, json.loads(raw)
        except (ValueError, RecursionError):
            return status, None


def read_headers(path: Path) -> dict[str, str]:
    """Read `Name: value` lines. Raises CredentialError, which names file and line but not the content."""
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
            f"{origin}: the answer has no {key}; expected: JSON with server_url and participant_token"
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
