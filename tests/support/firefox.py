"""Firefox without a window, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/)."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_START_S = 60
_COMMAND_S = 30
_END_S = 10
_LISTENING = "WebDriver BiDi listening on "

# No network beside the page's: no updates, no reports, no downloads of decoders.
QUIET: dict[str, str | int | bool] = {
    "app.update.auto": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.gmp-manager.url": "http://127.0.0.1:9/",
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.active-protocols": 1,
}


class FirefoxError(RuntimeError):
    """Firefox has not done what a command asks."""


def binary() -> str | None:
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """A running Firefox with one tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._tab = ""
        self.version = ""

    async def begin(self) -> None:
        session = await self._ask("session.new", capabilities={})
        self.version = session["capabilities"]["browserVersion"]
        tree = await self._ask("browsingContext.getTree")
        self._tab = tree["contexts"][0]["context"]

    async def resize(self, width: int, height: int) -> None:
        await self._ask("browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height})

    async def open(self, url: str) -> None:
        await self._ask("browsingContext.navigate", context=self._tab, url=url, wait="interactive")

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, as JSON carries it."""
        answer = await self._ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self._tab},
            awaitPromise=True,
            userActivation=False,
        )
        if answer["type"] != "success":
            raise FirefoxError(answer["exceptionDetails"]["text"])
        value = answer["result"].get("value")
        return None if value is None else json.loads(value)

    async def until(self, expression: str, *, within_s: float = 45) -> Any:
        """Return the first true value of an expression."""
        try:
            async with asyncio.timeout(within_s):
                while not (value := await self.evaluate(expression)):  # a page reports nothing itself  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                return value
        except TimeoutError:
            now = await self.evaluate("[viewer.state, viewer.stats, document.body.innerText]")
            raise AssertionError(f"not within {within_s} s: {expression}: {now}") from None

    async def click(self, selector: str) -> None:
        """Press and release the mouse on an element, as a person does."""
        found = await self._ask(
            "browsingContext.locateNodes", context=self._tab, locator={"type": "css", "value": selector}
        )
        origin = {"type": "element", "element": {"sharedId": found["nodes"][0]["sharedId"]}}
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        await self._ask(
            "input.performActions",
            context=self._tab,
            actions=[{"type": "pointer", "id": "mouse", "actions": actions}],
        )

    async def _ask(self, method: str, **parameters: object) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_COMMAND_S):
            while True:
                answer = await self._socket.receive_json()
                if answer.get("id") == number:
                    break
        if answer["type"] != "success":
            raise FirefoxError(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]


@asynccontextmanager
async def firefox(preferences: Mapping[str, str | int | bool]) -> AsyncIterator[Firefox]:
    """Start Firefox with a fresh profile and these preferences; end it when the context ends."""
    program = binary()
    assert program, "there is no firefox on PATH (apt install firefox-esr)"
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as name:
        lines = (f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in preferences.items())
        await asyncio.to_thread(Path(name, "user.js").write_text, "".join(lines))
        process = await asyncio.create_subprocess_exec(
            *(program, "--headless", "--no-remote", "--profile", name, "--remote-debugging-port", "0", "about:blank"),
            env=os.environ | {"HOME": name, "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_START_S):
                address = await _address(process)
            drain = asyncio.ensure_future(_drain(process))
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{address}/session", max_msg_size=0) as socket,
            ):
                browser = Firefox(socket)
                await browser.begin()
                yield browser
            drain.cancel()
        finally:
            process.terminate()
            try:
                async with asyncio.timeout(_END_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr
    said = []
    async for line in process.stderr:
        said.append(line.decode(errors="replace"))
        if _LISTENING in said[-1]:
            return said[-1].partition(_LISTENING)[2].strip()
    raise FirefoxError(f"Firefox ended: {''.join(said)}")


async def _drain(process: asyncio.subprocess.Process) -> None:
    assert process.stderr
    while await process.stderr.read(1 << 16):
        pass
