"""The viewer's page with a microphone: its tokens, which may publish that and nothing else."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from device.viewer.passes import TTL

if TYPE_CHECKING:
    import datetime

    from device.network.probe import ProbeResult
    from device.tokens.minting import ApiKey
    from device.viewer.passes import Passes
    from device.viewer.server import Page


def talk_token(api_key: ApiKey, name: str, *, at: ProbeResult | None = None, ttl: datetime.timedelta = TTL) -> str:
    """Return a viewer's token that may publish a microphone. The name begins its identity, which is a new one."""
    return api_key.viewer_token(at=at, ttl=ttl, data=False, microphone=True, identity=f"{name}-{secrets.token_hex(4)}")


def with_talk(page: Page, passes: Passes, api_key: ApiKey, name: str) -> Page:
    """Return the viewer's page with the controls to talk."""
    mint = replace(passes, mint=lambda at: talk_token(api_key, name, at=at))
    return replace(page, mint=mint, kind="talk", more=("talk",))


def remark(name: str) -> str:
    """Return what is printed with the link."""
    return f'It can talk through devices with [speaker] allow = ["{name}-*"].\n'
