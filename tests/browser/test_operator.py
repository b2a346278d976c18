"""The operator's page in Chromium, with a real server and daemon: each operation through its panel."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.server.test_sounds import assert_played, bell
from tests.support import daemon as daemons
from tests.support.chromium import ARGUMENTS, CHROMIUM, NEEDS_CHROMIUM
from tests.support.sound_card import SoundCard
from tests.support.v4l2_cameras import Camera, Tree
from tests.support.viewer_process import viewer_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.support.livekit_server import Server

pytestmark = NEEDS_CHROMIUM

_SOON_MS = 30_000
OPERATIONS = (
    '["config", "key_frame", "logs", "play", "privacy", "rejoin", "reset", "restart", "run", "set", "snapshot", '
    '"status"]'
)
CONTROL = f"""
[control]
allow = [
  {{ identity = "ops-anna", operations = {OPERATIONS} }},
  {{ identity = "ops-berta", operations = ["run", "play"] }},
]
"""
CONFIG = """
[sounds]
doorbell = "BELL"
broken = "/absent.wav"
[commands.lamp]
run = ["/bin/echo", "<b>lamp</b> is", "{state}"]
arguments = { state = ["on", "off"] }
[commands.fails]
run = ["/bin/false"]
[camera]
width = 320
height = 240
fps = 10
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


def _open(browser: Browser, link: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(link)
    return page


def _press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def _says(page: Page, panel: str, pattern: str) -> None:
    expect(page.locator(f"#{panel}-result")).to_have_text(re.compile(pattern), timeout=_SOON_MS)


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_each_panel_does_what_it_says(
    server: Server, room: str, config: Path, browser: Browser, tmp_path: Path
) -> None:
    tree = Tree(tmp_path / "devices")
    tree.plug("video0", Camera())
    card = SoundCard(tmp_path)
    more = tree.environment | {"DEVICE_CAMERA__SOURCE": "v4l2", "STATE_DIRECTORY": str(tmp_path), **card.variables}
    variables = daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front <i>door</i>", **more)
    config.write_text(CONTROL + CONFIG.replace("BELL", str(bell(tmp_path / "bell.wav"))))
    with daemons.running(config, variables) as daemon:
        daemon.event("device.state", new="live")
        with viewer_process(config, variables, "--operator", "ops-anna") as link:
            page = _open(browser, link)
            _health(page, daemon)
            _settings(page)
            _controls(page, tree)
            _snapshot(page)
            _commands(page)
            _sounds(page, daemon, card)
            _log(page)
            shoot(page, "operator")
            _privacy(page, daemon)
            assert page.evaluate("document.querySelectorAll('main b, main i, header i').length") == 0
            page.set_viewport_size({"width": 375, "height": 667})
            assert page.evaluate("document.documentElement.scrollWidth") <= 375
            page.close()
        calls = [line for line in daemon.lines if line.get("event") == "control.call"]
        operations = {"key_frame", "play", "privacy", "reset", "restart", "run", "set", "snapshot"}
        assert operations <= {line["operation"] for line in calls}
        assert all("ops-anna" in line["caller"] for line in calls)
        with viewer_process(config, variables, "--operator", "ops-berta") as link:
            _a_refusal(_open(browser, link))


def _health(page: Page, daemon: daemons.Daemon) -> None:
    expect(page.locator("#name")).to_have_text("Front <i>door</i>", timeout=_SOON_MS)
    expect(page.locator("#who")).to_contain_text("You are ops-anna in ")
    expect(page.locator("#health")).to_contain_text("live", timeout=_SOON_MS)
    camera = page.get_by_role("row", name=re.compile("^camera"))
    expect(camera).to_contain_text("320 \N{MULTIPLICATION SIGN} 240", timeout=_SOON_MS)
    mark = len(daemon.lines)
    _press(page, "Restart: camera")
    _says(page, "health", "camera is restarted")
    daemon.event("worker.restarting", worker="camera", since=mark)
    _press(page, "Key frame: camera")
    _says(page, "health", "camera sends a key frame")


def _settings(page: Page) -> None:
    form = page.locator("#settings-form")
    fps = form.get_by_label("Frames per second")
    expect(fps).to_have_value("10", timeout=_SOON_MS)
    fps.fill("5")
    form.get_by_role("button", name="Apply").click()
    _says(page, "settings", "^camera.fps: worker restart$")
    form.get_by_label("Width in pixels").fill("321")
    assert not form.evaluate("(form) => form.checkValidity()")  # so the browser does not send it
    form.get_by_label("Width in pixels").fill("320")
    _press(page, "Undo all changes")
    _says(page, "settings", "^camera.fps: worker restart$")
    page.locator("#log").focus()  # a form with the focus keeps what was typed
    expect(fps).to_have_value("10", timeout=_SOON_MS)


def _controls(page: Page, tree: Tree) -> None:
    form = page.locator("#controls-form")
    brightness = form.get_by_label("brightness")
    expect(brightness).to_have_attribute("min", "-64", timeout=_SOON_MS)
    expect(brightness).to_have_attribute("max", "64")
    brightness.fill("65")
    assert not form.evaluate("(form) => form.checkValidity()")
    brightness.fill("7")
    form.get_by_label("power_line_frequency").select_option("60 Hz")
    form.get_by_label("Another control").fill("Gain")
    form.get_by_label("Its value").fill("200")
    form.get_by_role("button", name="Apply").click()
    _says(page, "controls", "Gain: 200 is not allowed; allowed: 0 to 100 in steps of 5")
    form.get_by_label("Its value").fill("")
    form.get_by_role("button", name="Apply").click()
    _says(page, "controls", "^camera.controls.brightness: applied live$|power_line_frequency: applied live")
    assert {(0x980900, 7), (0x980918, 2)} <= set(tree.values("video0"))


def _snapshot(page: Page) -> None:
    form = page.locator("#picture-form")
    form.get_by_label("Width at most").fill("160")
    _press(page, "Take a snapshot")
    _says(page, "picture", "^160 \N{MULTIPLICATION SIGN} 120, captured 20")
    assert page.locator("#picture").evaluate("(image) => image.naturalWidth") == 160
    expect(page.get_by_role("link", name="Save it")).to_have_attribute("download", re.compile(r"^camera-.*\.jpg$"))


def _privacy(page: Page, daemon: daemons.Daemon) -> None:
    mark = len(daemon.lines)
    _press(page, "Privacy on: camera")
    daemon.event("worker.state", worker="camera", new="privacy", since=mark)
    expect(page.get_by_role("button", name="Privacy on: camera")).to_have_attribute(
        "aria-pressed", "true", timeout=_SOON_MS
    )
    _press(page, "Take a snapshot")
    _says(page, "picture", "privacy")
    _press(page, "Privacy off: camera")
    daemon.event("worker.state", worker="camera", new="live", since=mark)


def _commands(page: Page) -> None:
    page.get_by_label("state").select_option("off")
    _press(page, "Run lamp")
    _says(page, "commands", r"^lamp: exit code 0 after [\d.]+ s$")
    expect(page.locator("#commands-output")).to_have_text("<b>lamp</b> is off\n")
    _press(page, "Run fails")
    _says(page, "commands", "^fails: exit code 1$")


def _sounds(page: Page, daemon: daemons.Daemon, card: SoundCard) -> None:
    daemon.event("worker.state", worker="speaker", new="live")
    expect(page.locator("#health")).to_contain_text("Speaker")
    since = time.monotonic()
    _press(page, "Play doorbell")
    _says(page, "sounds", r"^doorbell was played, 1\.0 s$")
    assert_played(card, since=since, amplitude=0.3 * 32767)
    _press(page, "Play broken")
    _says(page, "sounds", "^the file of broken cannot be read: No such file or directory$")


def _log(page: Page) -> None:
    _press(page, "Follow")
    expect(page.locator("#log")).to_contain_text("control.call", timeout=_SOON_MS)
    page.get_by_label("Level").select_option("error")
    expect(page.locator("#log")).to_have_text("", timeout=_SOON_MS)
    page.get_by_label("Level").select_option("info")
    expect(page.locator("#log")).to_contain_text("lamp", timeout=_SOON_MS)


def _a_refusal(page: Page) -> None:
    expect(page.locator("#refusal")).to_contain_text(
        "This identity, ops-berta, is not allowed: add it to [control] allow of the device", timeout=_SOON_MS
    )
    page.get_by_label("Name").fill("lamp")
    page.get_by_label("Arguments").fill("state=on")
    _press(page, "Run")
    _says(page, "commands", "lamp: exit code 0")
    page.get_by_label("Sound", exact=True).fill("horn")
    _press(page, "Play")
    _says(page, "sounds", '^there is no sound "horn"; there are: broken, doorbell$')
    page.close()


def test_a_device_without_a_speaker_or_sounds_says_so(
    server: Server, room: str, config: Path, browser: Browser, tmp_path: Path
) -> None:
    variables = daemons.environment(server, room)
    for sounds, said in (
        ("", "configuration has none."),
        (f'doorbell = "{bell(tmp_path / "bell.wav")}"', "speaker is off: [speaker] source"),
    ):
        config.write_text(f"{CONTROL}[sounds]\n{sounds}\n")
        with daemons.running(config, variables) as daemon:
            daemon.event("device.state", new="live")
            with viewer_process(config, variables, "--operator", "ops-anna") as link:
                page = _open(browser, link)
                expect(page.locator("#sounds")).to_contain_text(said, timeout=_SOON_MS)
                expect(page.locator("#health")).not_to_contain_text("Speaker")
                if sounds:
                    _press(page, "Play doorbell")
                    _says(page, "sounds", "^the speaker is off: set source")
                page.close()
