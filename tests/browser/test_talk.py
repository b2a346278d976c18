"""Talking from the viewer page in Chromium with a fake microphone, to plain participants and to a real device."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support import daemon as daemons
from tests.support.chromium import ARGUMENTS, NEEDS_CHROMIUM, PHONE, open_page, shoot, until
from tests.support.sound_card import SoundCard
from tests.support.talked_to import talked_to
from tests.support.viewer_process import viewer_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.livekit_server import Server

pytestmark = NEEDS_CHROMIUM

FAKE = (*ARGUMENTS, "--use-fake-device-for-media-stream")
GRANTED = (*FAKE, "--use-fake-ui-for-media-stream")
IDLE = "viewer.talk && viewer.talk.speakers.length === 1 && viewer.talk.speakers[0].state === 'idle'"
WORDS = "(document.querySelector('.talk .words')?.innerText ?? '')"
# A browser whose tab is hidden, or whose time passes.
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", {get: () => hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
PASS_TIME = "(ms) => { const now = performance.now.bind(performance); performance.now = () => now() + ms; }"


@contextmanager
def holding(page: Page) -> Iterator[None]:
    """Hold the button by the mouse, which moves away before it is released."""
    box = page.locator("#talk").bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    yield
    page.mouse.move(5, 5)
    page.mouse.up()


def until_microphone(page: Page, state: str) -> None:
    until(page, f"viewer.talk.microphone.state === '{state}'")


def until_speakers(page: Page, *states: str) -> None:
    until(page, f"window.viewer?.talk?.speakers.map(({{state}}) => state).join() === '{','.join(states)}'")


def test_what_is_said_is_heard_while_the_button_is_held(server: Server, room: str, config: Path) -> None:
    with (
        talked_to(server, room) as device,
        viewer_process(config, daemons.environment(server, room), "--talk", "talk-anna") as url,
        open_page(url, arguments=GRANTED) as page,
    ):
        until(page, IDLE)
        assert device.published == []
        with holding(page):
            until_speakers(page, "hears")
            device.until(lambda: device.loud_blocks > 50)
            until(page, "viewer.talk.level > 0.001")
            assert "Front door hears you" in page.evaluate(WORDS)
        device.until(lambda: device.published == ["muted"])
        until_speakers(page, "idle")
        loud_blocks = device.loud_blocks
        page.wait_for_timeout(1500)  # a fake microphone beeps each second
        assert device.loud_blocks - loud_blocks < 50, "what was on its way, and no more"
        # The space bar, wherever the focus is not; then the button by the keyboard, then the switch.
        page.keyboard.down(" ")
        until_speakers(page, "hears")
        page.keyboard.up(" ")
        until_microphone(page, "muted")
        page.focus("#talk")
        page.keyboard.down("Enter")
        until_speakers(page, "hears")
        page.keyboard.up("Enter")
        until_microphone(page, "muted")
        page.focus("#talk-keep")
        page.keyboard.press(" ")
        until_speakers(page, "hears")
        assert page.get_attribute("#talk-keep", "aria-pressed") == "true"
        page.keyboard.press(" ")
        until_microphone(page, "muted")
        assert device.publications == [("talk", "SOURCE_MICROPHONE")], "one publication for all holds"
        # Given back after a while, and by a page that is hidden; published again by the next hold.
        page.evaluate(PASS_TIME, 61_000)
        device.until(lambda: device.published == [])
        with holding(page):
            until_speakers(page, "hears")
            page.evaluate(HIDE, True)  # noqa: FBT003
            device.until(lambda: device.published == [])
            page.evaluate(HIDE, False)  # noqa: FBT003
            until_microphone(page, "closed")
        until_speakers(page, "idle")
        with holding(page):
            until_speakers(page, "hears")
            page.evaluate("viewer.rejoin()")
            until(page, "viewer.joins === 2")
        device.until(lambda: device.published == [])
        until_speakers(page, "idle")


def test_each_page_shows_who_is_heard_and_by_which_device(server: Server, room: str, config: Path) -> None:
    with (
        talked_to(server, room) as porch,
        talked_to(server, room, identity="yard", name="Yard", prefix="ops-") as yard,
        viewer_process(config, daemons.environment(server, room), "--talk", "talk-anna") as url,
        open_page(url, arguments=GRANTED) as page,
    ):
        until_speakers(page, "idle", "idle")
        assert page.context.browser
        other = page.context.browser.new_page()
        other.goto(url)
        until(other, "window.viewer?.talk?.speakers.length === 2")
        with holding(page):
            until_speakers(page, "hears", "waiting")
            until_speakers(page, "hears", "deaf")
            shoot(page, "talk-two")
            assert "Yard does not play this: its [speaker] allow must name you" in page.evaluate(WORDS)
            until_speakers(other, "busy", "idle")
            talker = page.evaluate("viewer.room.localParticipant.identity")
            assert talker.startswith("talk-anna-")
            assert f"Front door is busy: {talker} is talking" in other.evaluate(WORDS)
            assert other.inner_text("#name") == "2 devices", "a talker is not a device"
        until_speakers(page, "idle", "idle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        shoot(page, "talk-phone")
        # A speaker that is unplugged, and one that is switched off.
        porch.set(speaker="absent: unplugged")
        until_speakers(page, "out", "idle")
        assert "Front door has no speaker now: absent: unplugged" in page.evaluate(WORDS)
        porch.set(speaker="")
        yard.set(speaker="")
        until(page, f"{WORDS}.includes('No device in the room has a speaker that is switched on.')")
        assert page.get_attribute("#talk", "aria-disabled") == "true"
        until_microphone(page, "closed")
        with holding(page):
            page.wait_for_timeout(500)
            assert page.evaluate("viewer.talk.microphone.state") == "closed"


def test_a_device_that_mixes_voices_is_not_busy(server: Server, room: str, config: Path) -> None:
    with (
        talked_to(server, room, prefix="") as device,
        viewer_process(config, daemons.environment(server, room), "--talk", "talk-anna") as url,
        open_page(url, arguments=GRANTED) as page,
    ):
        until(page, IDLE)
        device.set(talker="agent-7")
        until_speakers(page, "busy")
        assert "Front door is busy: agent-7 is talking" in page.evaluate(WORDS)
        device.set(speaker_mode="mixed")
        until_speakers(page, "idle")
        assert "Front door is ready; talking now: agent-7" in page.evaluate(WORDS)
        with holding(page):
            until_speakers(page, "waiting")
            device.set(talker=f"agent-7, {page.evaluate('viewer.room.localParticipant.identity')}")
            until_speakers(page, "hears")
            device.set(talker="agent-7")
            until_speakers(page, "paused")
            device.set(speaker_mode="exclusive")
            until_speakers(page, "busy")


def test_a_refused_permission_and_a_missing_microphone_get_plain_words(server: Server, room: str, config: Path) -> None:
    name = socket.gethostname().partition(".")[0]
    with (
        talked_to(server, room) as device,
        viewer_process(config, daemons.environment(server, room), "--talk", bind="0.0.0.0:0") as link,
    ):
        here = link.replace(urlsplit(link).hostname or "", "127.0.0.1")
        for arguments, words in (
            ((*FAKE, "--deny-permission-prompts"), "This browser does not let the page use a microphone."),
            ((*ARGUMENTS, "--use-fake-ui-for-media-stream"), "This computer has no microphone."),
        ):
            with open_page(here, arguments=arguments) as page:
                until(page, IDLE)
                with holding(page):
                    until(page, f"{WORDS}.includes('{words}')")
                    until_microphone(page, "closed")
        # From another machine, without https.
        rules = f"--host-resolver-rules=MAP {name}.lan 127.0.0.1"
        with open_page(here.replace("127.0.0.1", f"{name}.lan"), arguments=(*GRANTED, rules)) as page:
            until(page, f"{WORDS}.includes('Browsers give a microphone only to pages that came over https')")
            assert page.get_attribute("#talk", "aria-disabled") == "true"
        assert device.publications == []


def test_an_ordinary_page_has_nothing_to_talk_with(server: Server, room: str, config: Path) -> None:
    with (
        talked_to(server, room),
        viewer_process(config, daemons.environment(server, room)) as url,
        open_page(url, arguments=GRANTED) as page,
    ):
        until(page, "viewer.state === 'waiting-picture'")
        loaded = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
        assert not [each for each in loaded if "/talk/" in each]
        assert page.evaluate("[viewer.talk, document.getElementById('talk')]") == [None, None]
        refused = "navigator.mediaDevices.getUserMedia({audio: true}).then(() => 'given', ({name}) => name)"
        assert page.evaluate(refused) == "NotAllowedError", "the page's own policy forbids a microphone"


def test_a_real_device_plays_what_is_said(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    card, small = SoundCard(tmp_path), {"CAMERA__WIDTH": "640", "CAMERA__HEIGHT": "360", "CAMERA__FPS": "10"}
    settings = {"ROOM__DISPLAY_NAME": "Front door", "SPEAKER__ALLOW": '["talk-anna-*"]', **small}
    settings |= {"SPEAKER__EXCLUSIVE": "false"}
    variables = daemons.environment(
        server, room, **card.variables, **{f"DEVICE_{key}": value for key, value in settings.items()}
    )
    with (
        daemons.running(config, variables) as daemon,
        viewer_process(config, daemons.environment(server, room), "--talk", "talk-anna") as url,
        open_page(url, arguments=GRANTED) as page,
    ):
        daemon.event("worker.state", worker="speaker", new="live", within_s=60)
        until(page, "viewer.state === 'live'")
        until_speakers(page, "idle")
        began_at = time.monotonic()
        with holding(page):
            until_speakers(page, "hears")
            until(page, "viewer.talk.level > 0.01")
            shoot(page, "talk")
            give_up_at = time.monotonic() + 45
            while not card.loud(since=began_at):
                assert time.monotonic() < give_up_at
                page.wait_for_timeout(100)
            # Its speaker mixes the voices of two pages.
            assert page.context.browser
            other = page.context.browser.new_page()
            other.goto(url)
            until_speakers(other, "idle")
            with holding(other):
                until_speakers(other, "hears")
                until_speakers(page, "hears")
        until_speakers(page, "idle")
