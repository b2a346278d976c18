"""Serves a page of the viewer for a moment, and asks for its files and tokens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from device.errors import UnreachableError
from device.viewer.server import Page, Site, serving

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOM = ("ws://127.0.0.1:9",)  # nothing listens there
Answer = tuple[int, "Mapping[str, str]", str]


class NoServer:
    """A probe that no server answers."""

    async def first(self, _urls: tuple[str, ...]) -> None:
        raise UnreachableError


def asked(what: Page, *requests: tuple[str, str]) -> list[Answer]:
    """Serve a page, and return status, headers and text of each request (path, secret of a POST)."""

    async def main() -> list[Answer]:
        answers: list[Answer] = []
        site = Site(pages=(what,), room_urls=ROOM, own_name="box")
        async with serving(site, host="127.0.0.1", port=0) as url, aiohttp.ClientSession(url) as session:
            for path, secret in requests:
                body = {"json": {"secret": secret}} if secret else {}
                async with session.request("POST" if secret else "GET", path, **body) as response:  # type: ignore[arg-type]
                    answers.append((response.status, response.headers.copy(), await response.text()))
        return answers

    return asyncio.run(main())
