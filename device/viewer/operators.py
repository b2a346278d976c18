"""The operator's page: its link, which is valid for a while, and the identity of its tokens."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from device.viewer.passes import TTL
from device.viewer.server import Page

if TYPE_CHECKING:
    from device.tokens.minting import ApiKey
    from device.viewer.passes import Passes

PATH: Final = "operator"
VALID_S: Final = 3600.0
"""How long the link can be opened, and its page can join again. A page that is in the room stays there."""


def operator_page(passes: Passes, api_key: ApiKey, identity: str, *, secret: str) -> Page:
    """Return the page. All its tokens have one identity, which the device's [control] allow can name."""
    token = partial(api_key.viewer_token, ttl=TTL, identity=identity)
    return Page(
        mint=replace(passes, mint=lambda at: token(at=at)),
        secret=secret,
        kind="operator",
        path=f"/{PATH}",
        token_path=f"/{PATH}-token",
        folder=PATH,
        valid_s=VALID_S,
    )


def remark(identity: str) -> str:
    """Return what is printed below the link."""
    return (
        f"Everyone with this link can ask devices of the room, as {identity}, for what their [control] allow lets this "
        f"identity do. It can be opened for {VALID_S / 60:.0f} minutes, while this command runs.\n"
    )
